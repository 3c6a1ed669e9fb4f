"""Original data sets are laid out for training: completely, reproducibly, and never in part."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_datasets import cut_short, make_arface, make_bu3dfe, make_celeba, make_rafd
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.data.folders import DataConfig, find
from aggan.data.originals import rafd
from aggan.data.originals.source import SourceImage
from aggan.training.experiment import Experiment

SOURCES = {
    "celeba": (make_celeba, ["--train", "3", "--test", "2"]),
    "rafd": (make_rafd, ["--camera", "90", "--gaze", "frontal", "left"]),
    "arface": (make_arface, []),
    "bu3dfe": (make_bu3dfe, []),
}
ALL = pytest.mark.parametrize("name", SOURCES)
IMAGES = {"celeba": 10, "rafd": 3 * 8 * 2, "arface": 3 * 4 * 2, "bu3dfe": 3 * 7}


@pytest.fixture
def source(name, tmp_path) -> Path:
    return SOURCES[name][0](tmp_path / "src")


def prepare(name: str, src: Path, dst: Path, *more: str) -> int:
    return run(["data", "prepare", name, str(src), str(dst), "--size", "8", *SOURCES[name][1], *more])


def output(capsys) -> str:
    """Everything printed to both streams."""
    captured = capsys.readouterr()
    return captured.out + captured.err


def refused(capsys, *arguments) -> str:
    """The error message of a command, without the notes before it."""
    capsys.readouterr()
    assert prepare(*arguments) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("aggan data: ")
    return last


def tree(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def records(dst: Path) -> list[dict]:
    return [json.loads(line) for line in (dst / "images.jsonl").read_text().splitlines()]


@ALL
def test_a_complete_source_becomes_a_complete_set(name, source, tmp_path, capsys):
    dst = tmp_path / "dst"
    assert prepare(name, source, dst) == 0
    prepared = records(dst)
    assert len(prepared) == IMAGES[name]
    assert {file for file in tree(dst) if file.endswith(".png")} == {record["file"] for record in prepared}
    for record in prepared:
        split, expression, _ = record["file"].split("/")
        assert (record["split"], record["expression"]) == (split, expression)
        assert any(source.rglob(record["source"]))
        with Pillow.open(dst / record["file"]) as image:
            assert (image.size, image.mode) == ((8, 8), "RGB")
    card = json.loads((dst / "dataset.json").read_text())
    assert [card[key] for key in ("name", "version", "seed", "size")] == [name, 1, 0, 8]
    assert sum(sum(counts.values()) for counts in card["counts"].values()) == len(prepared)
    assert names_in(dst) == ["dataset.json", "images.jsonl", "test", "train"]
    assert f"aggan train --recipe {name} --data.root {dst} --data.names neutral happy" in output(capsys)


@ALL
def test_nobody_is_in_both_splits(name, source, tmp_path):
    prepare(name, source, tmp_path / "dst")
    people = {
        split: {r["person"] for r in records(tmp_path / "dst") if r["split"] == split} for split in ("train", "test")
    }
    assert people["train"]
    assert people["test"]
    assert None not in people["train"] | people["test"]
    assert not people["train"] & people["test"]


@ALL
def test_training_finds_the_prepared_images_and_the_recipe_exists(name, source, tmp_path):
    prepare(name, source, tmp_path / "dst")
    split = find(DataConfig(root=tmp_path / "dst", names=("neutral", "happy")))
    assert all(domain.files for domain in (*split.train, *split.test))
    assert Experiment.of("aggan", name).data.size == 256


@ALL
def test_only_the_seed_changes_the_set(name, source, tmp_path):
    for dst, seed in (("a", "0"), ("b", "0"), *((f"c{seed}", str(seed)) for seed in range(1, 4))):
        assert prepare(name, source, tmp_path / dst, "--seed", seed) == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    drawn = {tuple(sorted(r["file"] for r in records(tmp_path / f"c{seed}"))) for seed in range(1, 4)}
    assert len(drawn) > 1


@pytest.mark.parametrize("name", ["rafd", "arface", "bu3dfe"])
def test_ground_truth_has_the_name_of_its_input(name, source, tmp_path):
    prepare(name, source, tmp_path / "dst")
    test = tmp_path / "dst" / "test"
    assert {file.name for file in (test / "neutral").iterdir()} == {file.name for file in (test / "happy").iterdir()}


@given(people=st.sets(st.text("0123456789", min_size=1, max_size=3), min_size=2), share=st.floats(0.01, 0.99))
def test_both_splits_have_somebody_for_every_share(people, share):
    images = [SourceImage(Path(f"{person}.jpg"), person, "happy", person) for person in people]
    splits = rafd.Settings(test_share=share).split(images)
    assert sorted((*splits["train"], *splits["test"]), key=lambda p: p.name) == sorted(images, key=lambda p: p.name)
    assert splits["train"]
    assert splits["test"]


@ALL
def test_a_source_that_is_not_the_data_set_is_refused(name, source, tmp_path, capsys):
    dst = tmp_path / "dst"
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert "gone: no such folder" in refused(capsys, name, tmp_path / "gone", dst)
    assert "file: a file; unpack it" in refused(capsys, name, tmp_path / "file", dst)
    error = "img_align_celeba is missing" if name == "celeba" else "found no image like"
    assert error in refused(capsys, name, tmp_path / "empty", dst)
    other = make_bu3dfe(tmp_path / "other", ["F0001"]) if name != "bu3dfe" else make_rafd(tmp_path / "other")
    assert error in refused(capsys, name, other, dst)
    assert not dst.exists()


@ALL
def test_source_and_destination_may_not_contain_each_other(name, source, tmp_path, capsys):
    before = tree(source)
    for dst in (source, source / "dst", source.parent, source / "." / ".." / source.name):
        assert "one contains the other" in refused(capsys, name, source, dst)
    (tmp_path / "link").symlink_to(source)
    assert "one contains the other" in refused(capsys, name, source, tmp_path / "link" / "dst")
    assert tree(source) == before


@ALL
def test_other_files_are_never_overwritten(name, source, tmp_path, capsys):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    assert "folder: exists and was not made by this command" in refused(capsys, name, source, folder)
    assert "letter.txt: exists and was not made" in refused(capsys, name, source, folder / "letter.txt")
    (folder / "dataset.json").write_text("{}")
    assert "dataset.json: was not made by this command" in refused(capsys, name, source, folder)
    (folder / "dataset.json").write_text("{")
    assert "dataset.json: cannot be read" in refused(capsys, name, source, folder)
    assert (folder / "letter.txt").read_text() == "dear"


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "dst").mkdir()
    assert prepare("bu3dfe", make_bu3dfe(tmp_path / "src"), tmp_path / "dst") == 0


@ALL
def test_the_same_command_again_changes_nothing(name, source, tmp_path, capsys):
    dst = tmp_path / "dst"
    prepare(name, source, dst)
    before = {file: file.stat().st_mtime_ns for file in dst.rglob("*")}
    capsys.readouterr()
    assert prepare(name, source, dst) == 0
    assert f"{dst} is prepared already" in output(capsys)
    assert {file: file.stat().st_mtime_ns for file in dst.rglob("*")} == before


@ALL
def test_other_settings_or_another_source_are_refused(name, source, tmp_path, capsys):
    dst = tmp_path / "dst"
    prepare(name, source, dst)
    before = tree(dst)
    assert "dst: was made with seed 0, not 5" in refused(capsys, name, source, dst, "--seed", "5")
    assert "dst: was made with size 8, not 9" in refused(capsys, name, source, dst, "--size", "9")
    other = "arface" if name != "arface" else "bu3dfe"
    another = SOURCES[other][0](tmp_path / "another")
    assert f"dst: was made with data set {name}, not {other}" in refused(capsys, other, another, dst)
    for file in source.rglob("*.*"):
        if file.name.startswith(("Rafd090_03", "w-002", "M0001")):
            file.unlink()
    if name != "celeba":
        assert "dst: was made from other images" in refused(capsys, name, source, dst, "--partial")
    assert tree(dst) == before


def interrupt_after(monkeypatch, count: int, error: BaseException) -> None:
    """Let `count` images be written, then raise."""
    save, written = Pillow.Image.save, []

    def limited(self, *args):
        written.append(args)
        if len(written) > count:
            raise error
        save(self, *args)

    monkeypatch.setattr(Pillow.Image, "save", limited)


@ALL
@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted; run the same command to continue"),
        (OSError(28, "No space left on device"), 2, "No space left on device; what was there before is unchanged"),
    ],
)
def test_the_same_command_continues_an_interrupted_one(
    name, source, tmp_path, capsys, monkeypatch, error, code, sentence
):
    dst = tmp_path / "dst"
    prepare(name, source, tmp_path / "at once")
    with monkeypatch.context() as stopped:
        interrupt_after(stopped, 5, error)
        assert prepare(name, source, dst) == code
    assert sentence in output(capsys)
    assert names_in(dst) == [".preparing"]
    first = {file: file.stat().st_mtime_ns for file in (dst / ".preparing").rglob("*.png")}
    assert len(first) == 5
    assert "was made with seed 0, not 1" in refused(capsys, name, source, dst, "--seed", "1")
    assert prepare(name, source, dst) == 0
    assert tree(dst) == tree(tmp_path / "at once")
    for file, written in first.items():
        assert (dst / file.relative_to(dst / ".preparing")).stat().st_mtime_ns == written


@pytest.mark.parametrize("moved", [1, 2])
def test_an_interrupted_move_is_repaired(moved, tmp_path, monkeypatch):
    source, dst = make_bu3dfe(tmp_path / "src"), tmp_path / "dst"
    prepare("bu3dfe", source, tmp_path / "at once")
    replace, seen = os.replace, []

    def limited(old, new):
        if Path(old).is_dir():
            seen.append(new)
        if len(seen) == moved + 1 or (moved == 2 and str(new).endswith("dst/images.jsonl")):
            raise KeyboardInterrupt
        replace(old, new)

    with monkeypatch.context() as stopped:
        stopped.setattr(os, "replace", limited)
        assert prepare("bu3dfe", source, dst) == 130
    assert not (dst / "dataset.json").exists()
    assert (dst / "train").exists()
    assert prepare("bu3dfe", source, dst) == 0
    assert tree(dst) == tree(tmp_path / "at once")


@ALL
def test_the_set_is_not_moved_before_an_unreadable_image_is_replaced(name, source, tmp_path, capsys):
    dst = tmp_path / "dst"
    prepare(name, source, tmp_path / "complete")
    image = next(source.rglob(records(tmp_path / "complete")[0]["source"]))
    content = image.read_bytes()
    cut_short(image)
    assert f"1 of {IMAGES[name]} images cannot be read: replace them and run the same command" in refused(
        capsys, name, source, dst
    )
    assert names_in(dst) == [".preparing"]
    image.write_bytes(content)
    assert prepare(name, source, dst) == 0
    assert tree(dst) == tree(tmp_path / "complete")


def test_an_unreadable_folder_is_named(tmp_path, capsys, monkeypatch):
    def forbidden(path: Path):
        raise PermissionError(13, "Permission denied", str(path))

    source = make_celeba(tmp_path / "src")
    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert "img_align_celeba: Permission denied" in refused(capsys, "celeba", source, tmp_path / "dst")


def test_partial_leaves_out_an_unreadable_image_and_names_it(tmp_path, capsys):
    source, dst = make_bu3dfe(tmp_path / "src"), tmp_path / "dst"
    cut_short(source / "F0001" / "F0001_HA04WH_F2D.bmp")
    assert prepare("bu3dfe", source, dst, "--partial") == 0
    messages = output(capsys)
    assert "unreadable " in messages
    assert "F0001_HA04WH_F2D.bmp: broken image" in messages
    assert "F0001_HA04WH_F2D.bmp" not in {record["source"] for record in records(dst)}
    assert len(records(dst)) == IMAGES["bu3dfe"] - 1
    assert prepare("bu3dfe", source, dst, "--partial") == 0
    assert f"note: {dst} lacks 1 of the images" in output(capsys)


def test_a_source_without_any_readable_image_is_refused_even_with_partial(tmp_path, capsys):
    source = make_bu3dfe(tmp_path / "src")
    for file in source.rglob("*.bmp"):
        file.write_bytes(b"")
    assert "21 of 21 images cannot be read" in refused(capsys, "bu3dfe", source, tmp_path / "dst", "--partial")


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("rafd", "Rafd090_02_*_sad_left.jpg", "(1, such as Rafd090_02_..._sad_left.jpg)"),
        ("bu3dfe", "*/F0002_NE00WH_F2D.bmp", "(1, such as F0002_NE00.._F2D.bmp)"),
        ("bu3dfe", "*/F0002_SU04WH_F2D.bmp", "(1, such as F0002_SU04.._F2D.bmp)"),
        ("celeba", "img_align_celeba/00002[0-4].jpg", "(5, such as 000020.jpg)"),
    ],
)
def test_an_incomplete_source_is_refused_without_partial(name, pattern, expected, source, tmp_path, capsys):
    for file in source.glob(pattern):
        file.unlink()
    message = refused(capsys, name, source, tmp_path / "dst")
    assert f"src: images are missing {expected}: copy the rest, or leave them out with --partial" in message
    assert not (tmp_path / "dst").exists()
    assert prepare(name, source, tmp_path / "dst", "--partial") == 0
    assert f"note: missing images are left out {expected}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--size", "3"],
        ["--seed", "-1"],
        ["--test-share", "1"],
        ["--camera"],
        ["--camera", "91"],
        ["--crop", "0", "2", "1"],
    ],
)
def test_an_invalid_option_exits_with_2(flags, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(["data", "prepare", "rafd", str(tmp_path), str(tmp_path / "dst"), *flags])
    assert flags[0].removeprefix("--").replace("-", "_") in capsys.readouterr().err.replace("-", "_")


def test_prepare_lists_its_data_sets(capsys):
    for arguments in ([], ["--help"]):
        assert run(["data", "prepare", *arguments]) == 0
        assert "usage: aggan data prepare {celeba,rafd,arface,bu3dfe,london} SRC DST" in capsys.readouterr().out
    assert run(["data", "prepare", "ferg", "a", "b"]) == 2
    assert "no data set 'ferg'; there are celeba, rafd, arface, bu3dfe, london, portraits" in capsys.readouterr().err


def test_help_does_not_import_torch():
    program = """
import sys
from aggan.cli.main import run
try:
    run(["data", "prepare", "rafd", "--help"])
finally:
    assert "aggan.data.originals.store" in sys.modules
    assert "torch" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@ALL
def test_every_data_set_has_help(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(["data", "prepare", name, "--help"])
    assert "SRC" in capsys.readouterr().out
