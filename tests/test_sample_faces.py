"""The sample faces: unpacking a small zip like the one that ships, and `aggan data` with and without other packages."""

import io
import json
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.data import sample_faces
from aggan.data.expressions import EXPRESSIONS
from aggan.data.index import Record, counts, to_jsonl
from aggan.errors import UserError
from aggan.io import write_atomic


def error_of(capsys, *argv: str) -> str:
    """The one line with which a command line is refused."""
    code = run(list(argv))
    streams = capsys.readouterr()
    assert (code, streams.out, streams.err.count("\n")) == (2, "", 1), streams
    return streams.err


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def face(person: int, split: str, expression: str, folder: str) -> Record:
    file = f"{folder}/{expression}/{person:04d}.png"
    return {"file": file, "split": split, "expression": expression, "person": f"{person:04d}", "landmarks": [[64, 32]]}


def faces() -> tuple[list[Record], list[Record]]:
    """Records of 4 test people with all expressions and 16 training people with two, and the latter's ground truth."""
    images = [face(person, "test", expression, "test") for person in range(4) for expression in EXPRESSIONS]
    pairs = []
    for person in range(4, 20):
        first, second = EXPRESSIONS[person % 2], EXPRESSIONS[1 - person % 2]
        images += [face(person, "train", expression, "train") for expression in (first, EXPRESSIONS[2 + person % 6])]
        pairs.append({"input": f"train/{first}/{person:04d}.png", **face(person, "train", second, "answers")})
    return sorted(images, key=lambda record: record["file"]), pairs


@pytest.fixture
def packed(tmp_path, monkeypatch) -> int:
    """Replaces the zip that ships by one of twenty people; the number of images without pairs."""
    images, pairs = faces()
    card = {"name": "faces", "version": 1, "size": 128, "people": 20, "counts": counts(images), "answers": len(pairs)}
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as pack:
        pack.writestr("dataset.json", json.dumps({**card, "settings": {"size": 128}}))
        for name, records in (("images.jsonl", images), ("pairs.jsonl", pairs)):
            pack.writestr(name, to_jsonl(records))
            for record in records:
                buffer = io.BytesIO()
                grey = 10 * EXPRESSIONS.index(record["expression"]) + int(record["person"])
                Pillow.new("RGB", (128, 128), (grey,) * 3).save(buffer, "JPEG")
                pack.writestr(record["file"].replace(".png", ".jpg"), buffer.getvalue())
    monkeypatch.setattr(sample_faces, "PACK", tmp_path / "faces.zip")
    return len(images)


def test_the_zip_that_ships_holds_every_image_of_its_lists():
    with zipfile.ZipFile(sample_faces.PACK) as pack:
        names = pack.namelist()
        records = [
            json.loads(line) for name in ("images.jsonl", "pairs.jsonl") for line in pack.read(name).splitlines()
        ]
        card = json.loads(pack.read("dataset.json"))
    assert names[:2] == ["dataset.json", "images.jsonl"]
    images = {record["file"].replace(".png", ".jpg") for record in records}
    assert images == set(names) - {"dataset.json", "images.jsonl", "pairs.jsonl"}
    assert (card["name"], card["people"], card["licence"]) == ("faces", 580, "CC0-1.0")
    assert len(images) == sum(sum(split.values()) for split in card["counts"].values()) + card["answers"]


def test_sample_images_are_neutral_test_people_at_128_px():
    images = sample_faces.sample_images(3)
    assert [(image.size, image.mode) for image in images] == [((128, 128), "RGB")] * 3
    assert len({image.tobytes() for image in images}) == 3


def test_unpacked_images_are_those_of_the_list_and_landmarks_have_their_scale(tmp_path, packed):
    images, pairs = faces()
    assert sample_faces.unpack(tmp_path / "out", 64) == packed
    after = lines(tmp_path / "out" / "images.jsonl")
    assert [record["file"] for record in after] == [record["file"] for record in images]
    assert after[0]["landmarks"] == [[32, 16]]
    for record in after:
        with Pillow.open(tmp_path / "out" / record["file"]) as image:
            assert (image.size, image.mode) == ((64, 64), "RGB")
    neutral, happy = (
        {r["person"] for r in after if r["split"] == "train" and r["expression"] == e} for e in ("neutral", "happy")
    )
    assert neutral
    assert happy
    assert not neutral & happy
    assert sample_faces.unpack(tmp_path / "paired", 64, pairs=True) == packed + len(pairs)
    names = [{p.name for p in (tmp_path / "paired" / "train" / e).iterdir()} for e in ("neutral", "happy")]
    assert names[0] == names[1]
    assert len(names[0]) == len(pairs)
    records = lines(tmp_path / "paired" / "images.jsonl")
    assert len(records) == packed + len(pairs)
    assert not any("input" in record for record in records)


def test_faces_are_not_unpacked_over_anything_else(tmp_path, packed, capsys):
    mine, out = tmp_path / "mine", tmp_path / "out"
    (mine / "train" / "neutral").mkdir(parents=True)
    for name in ("images.jsonl", "train/neutral/0000.png"):
        (mine / name).write_text("my own")
    assert "is not empty and was not made by this command" in error_of(capsys, "data", "faces", "--out", str(mine))
    (mine / "dataset.json").write_text("{}")
    sample_faces.unpack(out, 64)
    before = state(mine) | state(out)
    for folder, size, pairs in ((mine, 64, False), (out, 128, False), (out, 64, True)):
        with pytest.raises(UserError, match=rf"{folder}: holds another set than these \d+ faces at {size} px"):
            sample_faces.unpack(folder, size, pairs)
    assert state(mine) | state(out) == before


def test_a_complete_set_is_left_unchanged(tmp_path, packed):
    out = tmp_path / "out"
    sample_faces.unpack(out, 64)
    before = state(out)
    assert sample_faces.unpack(out, 64) == packed
    assert state(out) == before
    card = json.loads((out / "dataset.json").read_text())
    assert (card["size"], card.pop("pairs")) == (64, False)
    # An earlier version wrote no `pairs`, but settings.
    (out / "dataset.json").write_text(json.dumps({**card, "settings": {"size": 128}}))
    assert sample_faces.unpack(out, 64) == packed
    (out / "train" / "neutral" / "more.png").touch()
    with pytest.raises(UserError, match="holds another set"):
        sample_faces.unpack(out, 64)


def test_unpacking_continues_where_it_was_interrupted(tmp_path, packed, monkeypatch):
    def interrupted(path: Path, write) -> None:
        if len(list(path.parents[2].rglob("*.png"))) == 5:
            raise KeyboardInterrupt
        write_atomic(path, write)

    monkeypatch.setattr(sample_faces, "write_atomic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_faces.unpack(tmp_path / "out", 64)
    monkeypatch.setattr(sample_faces, "write_atomic", write_atomic)
    first = {file: content for file, content in state(tmp_path / "out").items() if file.suffix == ".png"}
    assert len(first) == 5
    with pytest.raises(UserError, match="holds another set"):
        sample_faces.unpack(tmp_path / "out", 128)
    sample_faces.unpack(tmp_path / "out", 64)
    sample_faces.unpack(tmp_path / "whole", 64)
    contents = [{f.relative_to(tmp_path / n): c[1] for f, c in state(tmp_path / n).items()} for n in ("out", "whole")]
    assert contents[0] == contents[1]
    assert first.items() <= state(tmp_path / "out").items()


# Actions of other packages


def echo(argv: list[str]) -> int:
    """An action of another package."""
    print(*argv)
    return 7


def install(monkeypatch, **plugins: str) -> None:
    points = [EntryPoint(name, value, "aggan.data") for name, value in plugins.items()]
    monkeypatch.setattr(
        "aggan.cli.data.entry_points", lambda group: [point for point in points if point.group == group]
    )


@pytest.mark.parametrize("argv", [[], ["--help"], ["rafd", "--out", "unused"]])
def test_a_missing_renderer_is_one_sentence(argv, monkeypatch, capsys):
    install(monkeypatch)
    assert error_of(capsys, "data", "render", *argv) == (
        "aggan data: aggan data render needs the package rendered-faces: "
        "pip install ./packages/rendered-faces (in a checkout of this repository)\n"
    )


def test_entry_points_are_actions_and_are_listed(monkeypatch, capsys):
    install(monkeypatch, render=f"{__name__}:echo", anime=f"{__name__}:echo", faces="none:none")
    assert run(["data", "--help"]) == 0
    usage = capsys.readouterr().out
    assert usage.count("aggan data render") == usage.count("aggan data faces") == usage.count("aggan data anime") == 1
    for action in ("render", "anime"):
        assert run(["data", action, "a", "--b"]) == 7
        assert capsys.readouterr().out == "a --b\n"
    assert "no action 'cats'; there are faces, sort, draw, render, prepare, cache, anime" in error_of(
        capsys, "data", "cats"
    )


def test_a_broken_package_is_one_sentence(monkeypatch, capsys):
    install(monkeypatch, anime="no_such_module:main")
    assert "the action 'anime' (package no_such_module:main) cannot be loaded" in error_of(capsys, "data", "anime")
