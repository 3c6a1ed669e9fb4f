"""The rendered data sets, as far as no renderer is needed: who shows what, what is recorded, going on."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from rendered_faces import expressions, pack, person, sheet, store
from rendered_faces.action_units import UNITS, intensities
from rendered_faces.backdrop import Clutter, Wall
from rendered_faces.expressions import ACTIONS, EXPRESSIONS
from rendered_faces.protocols import PROTOCOLS, Sitting, plan
from rendered_faces.records import record
from rendered_faces.render import Taken, develop
from rendered_faces.scene import Degradation, looking

from aggan.cli.main import run
from aggan.data.folders import Data, find
from aggan.errors import UserError
from aggan.io import write_whole


def refused(capsys, *arguments: str) -> str:
    code = run(list(arguments))
    told = capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1), told
    return told.err


# Expressions


def test_a_person_makes_an_expression_always_alike_and_differently_from_others():
    assert expressions.draw(3, 5) == expressions.draw(3, 5)
    smiles = [expressions.draw(3, index)["happy"] for index in range(20)]
    assert len({smile.strength for smile in smiles}) == 20
    for smile in smiles:
        left, right = smile.actions["mouthSmileLeft"], smile.actions["mouthSmileRight"]
        assert left != right
        assert abs(left - right) < 0.4 * max(left, right)


def test_every_expression_is_made_of_facial_actions_in_their_range():
    assert len(set(ACTIONS)) == 52
    for index in range(30):
        manners = expressions.draw(1, index)
        assert tuple(manners) == EXPRESSIONS
        assert manners["neutral"].strength == 0
        for manner in manners.values():
            assert manner.actions.keys() <= set(ACTIONS)
            assert all(0 <= value <= 1 for value in manner.actions.values())
            assert 0 <= manner.strength <= 1


def test_contempt_is_on_one_side_which_is_not_everybodys():
    sides = set()
    for index in range(30):
        actions = expressions.draw(1, index)["contemptuous"].actions
        sides.add({"Left", "Right"}.intersection(name.removeprefix("mouthDimple") for name in actions).pop())
    assert sides == {"Left", "Right"}


def test_people_of_other_indices_and_seeds_are_others():
    shapes = [json.dumps(person.draw(seed, index).shape) for seed in (0, 1) for index in (0, 1)]
    assert len(set(shapes)) == 4
    assert shapes[1] == json.dumps(person.draw(0, 1).shape)


# Action units


def test_each_action_shows_its_unit():
    def units(**actions: float) -> dict[int, float]:
        return {unit: value for unit, value in zip(UNITS, intensities(actions), strict=True) if value}

    assert units() == {}
    assert units(mouthSmileLeft=0.8, mouthSmileRight=0.8) == {12: 4.0}
    assert units(mouthSmileLeft=0.8) == {12: 3.0}
    assert units(browInnerUp=1.0, browOuterUpLeft=1.0, browOuterUpRight=1.0) == {1: 5.0, 2: 5.0}
    assert units(jawOpen=0.2) == {25: 2.0, 26: 1.0}
    assert units(jawOpen=0.2, mouthClose=0.2) == {26: 1.0}
    assert units(mouthRollUpper=0.6, mouthRollLower=0.2) == {23: 2.0}
    assert units(eyeBlinkLeft=1.0, eyeBlinkRight=1.0) == {45: 5.0}
    assert units(cheekPuff=1.0, tongueOut=1.0) == {}


def test_the_units_tell_the_expressions_apart():
    for index in range(10):
        manners = expressions.draw(2, index)
        vectors = [np.array(intensities(manner.actions)) for manner in manners.values()]
        for first, second in combinations(vectors, 2):
            assert np.abs(first - second).max() > 0.75
        assert all(len(vector) == 17 and vector.min() >= 0 and vector.max() <= 5 for vector in vectors)


# Protocols


def counted(sittings: list[Sitting]) -> Counter:
    return Counter((s.split, expression) for s in sittings for expression in s.expressions)


def test_the_protocols_have_the_papers_numbers():
    assert sum(counted(plan("rafd", 0, None)).values()) == 67 * 8 * 3 * 3 == 4824
    assert sum(counted(plan("arface", 0, None)).values()) == 1018
    assert sum(counted(plan("bu3dfe", 0, None)).values()) == 100 * 7
    assert counted(plan("celeba", 0, None)) == {(s, e): 1000 for s in ("train", "test") for e in ("neutral", "happy")}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("people", [4, 9])
def test_nobody_is_in_both_splits_and_the_same_seed_plans_the_same(protocol, people):
    sittings = plan(protocol, 7, people)
    splits = {split: {s.person for s in sittings if s.split == split} for split in ("train", "test")}
    assert splits["train"]
    assert splits["test"]
    assert not splits["train"] & splits["test"]
    assert len(splits["train"] | splits["test"]) == people
    assert len({s.name for s in sittings}) == len(sittings)
    again, other = plan(protocol, 7, people), plan(protocol, 8, people)
    assert [(s.name, s.split, s.scene.yaw) for s in again] == [(s.name, s.split, s.scene.yaw) for s in sittings]
    assert [s.scene.light.key.tolist() for s in other] != [s.scene.light.key.tolist() for s in sittings]


def test_rafd_shows_everybody_from_three_sides_with_three_gazes():
    views = {(s.details["camera"], s.details["gaze"]): s.scene for s in plan("rafd", 0, 2) if s.person == 0}
    assert {(camera, gaze) for camera in (45, 90, 135) for gaze in ("left", "frontal", "right")} == views.keys()
    assert [views[camera, "frontal"].yaw for camera in (45, 90, 135)] == [-45, 0, 45]
    assert views[90, "left"].gaze[0] > 0 == views[90, "frontal"].gaze[0] > views[90, "right"].gaze[0]


def test_arface_comes_again_with_other_light():
    sittings = plan("arface", 0, 20)
    visits = {number: {s.person: s.scene for s in sittings if s.details["visit"] == number} for number in (1, 2)}
    assert len(visits[1]) == 20
    assert 10 < len(visits[2]) < 20
    for index, scene in visits[2].items():
        assert scene.light.fill_colour.tolist() != visits[1][index].light.fill_colour.tolist()
        assert not visits[1][index].hair
    scenes = [s.scene for s in plan("arface", 0, None)]
    assert 0.15 < np.mean([scene.glasses is not None for scene in scenes]) < 0.35
    assert 0.05 < np.mean([scene.scarf is not None for scene in scenes]) < 0.25


def test_celeba_pairs_nobody_but_for_hidden_answers_of_the_test():
    sittings = plan("celeba", 0, 40)
    assert len({s.person for s in sittings}) == 40
    for sitting in sittings:
        expected = {"neutral", "happy"} - {*sitting.expressions} if sitting.split == "test" else set()
        assert {*sitting.answers} == expected


def test_bu3dfe_is_black_behind_and_lacks_contempt():
    sittings = plan("bu3dfe", 0, 3)
    assert all(s.expressions == EXPRESSIONS[:7] for s in sittings)
    assert all(not s.scene.backdrop.paint(16).any() for s in sittings)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_too_few_people_are_refused(protocol, capsys):
    assert "people cannot be" in refused(capsys, "data", "render", protocol, "--out", "unused", "--people", "1")


# Scenes


def test_lids_follow_the_gaze():
    assert looking((0.0, 0.0)) == {}
    assert looking((35.0, 0.0)) == {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
    assert looking((0.0, -70.0)) == {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0}


def test_a_cheap_camera_blurs_and_keeps_the_size():
    sharp = np.zeros((32, 32, 3), np.uint8)
    sharp[:, 16:] = 255
    kept = Degradation(0.05, 60).apply(sharp)
    assert (kept.shape, kept.dtype) == (sharp.shape, sharp.dtype)
    steps = [np.abs(np.diff(image.astype(int), axis=1)).max() for image in (kept, sharp)]
    assert 20 < steps[0] < 120 < steps[1]


@pytest.mark.parametrize("backdrop", [Clutter(3, 0.02, 0.8), Wall(np.full(3, 0.5), np.array([0.2, 0.1]), 0.5, 3)])
def test_a_backdrop_looks_alike_at_every_size(backdrop):
    small, large = (backdrop.paint(size).reshape(size, size, 3) for size in (32, 128))
    reduced = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(reduced - small).mean() < 0.05 * max(1, small.mean())
    assert small.std() > 0.01


# Records and the folder


def stand_in(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, Taken]]:
    """A renderer that draws one grey for each sitting and expression."""
    for number, expression in enumerate(sitting.expressions + sitting.answers):
        pixels = np.full((settings.size, settings.size), 10 * number + sitting.person, np.uint8)
        landmarks = np.full((68, 2), settings.size / 2)
        image = np.repeat(pixels[:, :, None], 3, axis=2)
        yield (
            expression,
            Taken(image, {"face": pixels, "hair": pixels}, landmarks, {"jawOpen": 0.25}, {"strength": 0.5}),
        )


def made(out: Path, protocol: str, people: int, count: int | None = None, masks: bool = True) -> list[Sitting]:
    settings, sittings = store.Settings(protocol, people, 16, 0, masks), plan(protocol, 0, people)
    assert not store.is_whole(out, settings)
    store.begin(out, settings)
    missing = store.missing(out, sittings)
    for sitting in missing[:count]:
        develop(out, settings, stand_in, sitting)
    if count is None:
        store.finish(out, settings, sittings)
    return missing


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_says_all_that_is_known():
    sitting = plan("rafd", 0, 2)[0]
    known = record(sitting, "happy", {"strength": 0.8, "glasses": False}, {"mouthSmileLeft": 0.5}, np.zeros((68, 2)))
    assert known["file"] == f"{sitting.split}/happy/0000_045_left.png"
    assert {name: known[name] for name in ("expression", "person", "strength", "gaze", "camera")} == {
        "expression": "happy", "person": "0000", "strength": 0.8, "gaze": "left", "camera": 45,
    }  # fmt: skip
    assert list(known["actions"]) == list(ACTIONS)
    assert len(known["action_units"]) == 17
    assert np.shape(known["landmarks"]) == (68, 2)
    assert json.loads(json.dumps(known)) == known


def test_a_set_is_laid_out_for_training(tmp_path):
    made(tmp_path / "set", "bu3dfe", 6)
    split = find(Data(root=tmp_path / "set", names=("neutral", "happy")))
    assert [len(domain.files) for domain in split.train + split.test] == [5, 5, 1, 1]
    records = lines(tmp_path / "set" / "pictures.jsonl")
    assert len(records) == 6 * 7
    for known in records:
        for part in ("face", "hair"):
            with Pillow.open(tmp_path / "set" / "masks" / part / known["file"]) as mask:
                assert (mask.mode, mask.size) == ("L", (16, 16))
    card = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert (card["name"], card["version"], card["licence"]) == ("bu3dfe", 1, "CC0-1.0")
    assert card["counts"]["train"]["sad"] == 5
    assert not (tmp_path / "set" / store.WORK).exists()


def test_answers_are_kept_apart(tmp_path):
    made(tmp_path, "celeba", 8)
    pairs, records = lines(tmp_path / "pairs.jsonl"), lines(tmp_path / "pictures.jsonl")
    assert (len(pairs), len(records)) == (4, 8)
    for pair in pairs:
        assert pair["input"].startswith("test/")
        assert pair["file"].startswith("answers/")
        assert (tmp_path / pair["input"]).exists()
        assert (tmp_path / pair["file"]).exists()
        assert pair["input"] in {known["file"] for known in records}
    assert not [known for known in records if known["file"].startswith("answers/")]
    assert {folder.name for folder in (tmp_path / "masks" / "face").iterdir()} == {"train", "test"}


def test_a_second_run_goes_on_where_the_first_stopped_and_ends_alike(tmp_path):
    made(tmp_path / "broken", "arface", 4, count=3)
    assert not (tmp_path / "broken" / "dataset.json").exists()
    rest = made(tmp_path / "broken", "arface", 4)
    whole = made(tmp_path / "whole", "arface", 4)
    assert len(rest) == len(whole) - 3
    files = [
        sorted(f.relative_to(tmp_path / name) for f in (tmp_path / name).rglob("*")) for name in ("broken", "whole")
    ]
    assert files[0] == files[1]
    for file in files[0]:
        if (tmp_path / "whole" / file).is_file():
            assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "broken" / file).read_bytes()


def test_a_sitting_that_was_cut_off_is_taken_again(tmp_path):
    settings, sitting = store.Settings("bu3dfe", 2, 16, 0, True), plan("bu3dfe", 0, 2)[0]

    def interrupted(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, Taken]]:
        yield next(stand_in(settings, sitting))
        raise KeyboardInterrupt

    store.begin(tmp_path, settings)
    with pytest.raises(KeyboardInterrupt):
        develop(tmp_path, settings, interrupted, sitting)
    assert store.missing(tmp_path, [sitting]) == [sitting]
    develop(tmp_path, settings, stand_in, sitting)
    assert store.missing(tmp_path, [sitting]) == []


@pytest.mark.parametrize("count", [2, None])
def test_changed_settings_are_refused_in_a_begun_and_in_a_whole_set(tmp_path, count, capsys):
    made(tmp_path, "bu3dfe", 3, count=count)
    for option, told in (
        ("--size=32", "size 16, not 32"),
        ("--people=4", "people 3, not 4"),
        ("--seed=1", "seed 0, not"),
    ):
        given = {"--size": "--size=16", "--people": "--people=3", "--seed": "--seed=0"}
        given[option.split("=")[0]] = option
        assert told in refused(capsys, "data", "render", "bu3dfe", "--out", str(tmp_path), *given.values())
    with pytest.raises(UserError, match="masks True, not False"):
        store.is_whole(tmp_path, store.Settings("bu3dfe", 3, 16, 0, False))


def test_a_whole_set_is_left_alone(tmp_path, capsys):
    made(tmp_path, "bu3dfe", 3)
    assert run(["data", "render", "bu3dfe", "--out", str(tmp_path), "--people", "3", "--size", "16"]) == 0
    assert capsys.readouterr().out == f"{tmp_path} is rendered already\n"


def test_what_is_not_ours_is_left_alone(tmp_path, capsys):
    (tmp_path / "holiday.png").touch()
    where = ["data", "render", "bu3dfe", "--out", str(tmp_path), "--people", "3"]
    assert "is not empty and was not made by this command" in refused(capsys, *where)
    where[4] = str(tmp_path / "holiday.png")
    assert "is a file" in refused(capsys, *where)
    where[4] = 300 * "x"
    assert "x: File name too long" in refused(capsys, *where)


def test_mistakes_about_rendering(tmp_path, capsys, monkeypatch):
    out = ["--out", str(tmp_path / "out")]
    assert "no protocol 'lfw'; there are rafd, arface" in refused(capsys, "data", "render", "lfw", *out)
    assert "--workers 0 is too small" in refused(capsys, "data", "render", "rafd", *out, "--workers", "0")
    monkeypatch.setattr("rendered_faces.render.find_spec", lambda name: None)
    error = refused(capsys, "data", "render", "rafd", *out)
    assert "pip install 'aggan[render]'" in error
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(UserError, match=r"No space left on device.*the same command goes on from here"):
        made(tmp_path, "bu3dfe", 2)
    assert not list(tmp_path.rglob("*.png*"))


# The sheet and the pack


def test_a_sheet_shows_sittings_from_all_over_a_set(tmp_path):
    for protocol, people, size in (("bu3dfe", 12, (7, 4)), ("celeba", 40, (8, 4))):
        made(tmp_path / protocol, protocol, people, masks=False)
        image = sheet.sheet(tmp_path / protocol, rows=4)
        assert image.size == (128 * size[0], 128 * size[1])
        sheet.save(image, tmp_path / "sheet.jpg")
        assert 0 < (tmp_path / "sheet.jpg").stat().st_size <= sheet.LARGEST


@pytest.fixture
def packed(tmp_path, monkeypatch) -> int:
    """Twenty people in a pack; the number of pictures without pairs."""
    sittings = plan("faces", 0, 20)
    settings = store.Settings("faces", 20, 128, 0, False)
    store.begin(tmp_path / "set", settings)
    for sitting in sittings:
        develop(tmp_path / "set", settings, stand_in, sitting)
    with pytest.raises(UserError, match=r"no dataset\.json here"):
        pack.pack(tmp_path / "set", tmp_path / "faces.zip")
    store.finish(tmp_path / "set", settings, sittings)
    pack.pack(tmp_path / "set", tmp_path / "faces.zip")
    monkeypatch.setattr(pack, "PACK", tmp_path / "faces.zip")
    return len(lines(tmp_path / "set" / "pictures.jsonl"))


def test_what_is_packed_comes_out_again(tmp_path, packed):
    answers = len(lines(tmp_path / "set" / "pairs.jsonl"))
    assert pack.unpack(tmp_path / "out", 64) == packed
    before, after = (lines(tmp_path / name / "pictures.jsonl") for name in ("set", "out"))
    assert [known["file"] for known in before] == [known["file"] for known in after]
    assert after[0]["landmarks"][0] == [32, 32]
    neutral, happy = (
        {k["person"] for k in after if k["split"] == "train" and k["expression"] == e} for e in ("neutral", "happy")
    )
    assert neutral
    assert happy
    assert not neutral & happy
    assert pack.unpack(tmp_path / "paired", 64, pairs=True) == packed + answers
    names = [{p.name for p in (tmp_path / "paired" / "train" / e).iterdir()} for e in ("neutral", "happy")]
    assert names[0] == names[1]
    assert len(names[0]) == answers
    assert len(lines(tmp_path / "paired" / "pictures.jsonl")) == packed + answers


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()}


def test_faces_are_unpacked_over_nothing_else(tmp_path, packed, capsys):
    mine, out = tmp_path / "mine", tmp_path / "out"
    (mine / "train" / "neutral").mkdir(parents=True)
    for name in ("pictures.jsonl", "train/neutral/0000.png"):
        (mine / name).write_text("my own")
    assert "is not empty and was not made by this command" in refused(capsys, "data", "faces", "--out", str(mine))
    (mine / "dataset.json").write_text("{}")
    pack.unpack(out, 64)
    before = state(mine) | state(out)
    for folder, size, pairs in ((mine, 64, False), (out, 128, False), (out, 64, True)):
        with pytest.raises(UserError, match=rf"{folder}: holds another set than these \d+ faces at {size} px"):
            pack.unpack(folder, size, pairs)
    render = ["data", "render", "faces", "--people", "20", "--no-masks", "--out", str(out)]
    assert "was not made by this command" in refused(capsys, *render)
    assert state(mine) | state(out) == before


def test_faces_that_are_there_are_left_alone(tmp_path, packed):
    out = tmp_path / "out"
    pack.unpack(out, 64)
    before = state(out)
    assert pack.unpack(out, 64) == packed
    assert state(out) == before
    card = json.loads((out / "dataset.json").read_text())
    assert (card["size"], card.pop("pairs")) == (64, False)
    # Of an earlier version, which also wrote over sets with pairs.
    (out / "dataset.json").write_text(json.dumps({**card, "settings": {"size": 128}}))
    assert pack.unpack(out, 64) == packed
    (out / "train" / "neutral" / "more.png").touch()
    with pytest.raises(UserError, match="holds another set"):
        pack.unpack(out, 64)


def test_unpacking_goes_on_where_it_was_stopped(tmp_path, packed, monkeypatch):
    def interrupted(path: Path, write) -> None:
        if len(list(path.parents[2].rglob("*.png"))) == 5:
            raise KeyboardInterrupt
        write_whole(path, write)

    monkeypatch.setattr(pack, "write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack.unpack(tmp_path / "out", 64)
    monkeypatch.setattr(pack, "write_whole", write_whole)
    first = {file: known for file, known in state(tmp_path / "out").items() if file.suffix == ".png"}
    assert len(first) == 5
    with pytest.raises(UserError, match="holds another set"):
        pack.unpack(tmp_path / "out", 128)
    pack.unpack(tmp_path / "out", 64)
    pack.unpack(tmp_path / "whole", 64)
    made = [{f.relative_to(tmp_path / n): k[1] for f, k in state(tmp_path / n).items()} for n in ("out", "whole")]
    assert made[0] == made[1]
    assert first.items() <= state(tmp_path / "out").items()


def test_a_sheet_of_no_set_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sheet", str(tmp_path), str(tmp_path / "sheet.jpg")])
    with pytest.raises(SystemExit, match="2"):
        sheet.main()
    assert f"{tmp_path}: no pictures.jsonl with pictures here" in capsys.readouterr().err


def test_too_large_a_pack_is_refused(tmp_path, monkeypatch):
    made(tmp_path / "set", "faces", 2)
    monkeypatch.setattr(pack, "LARGEST", 1000)
    with pytest.raises(UserError, match="render fewer people"):
        pack.pack(tmp_path / "set", tmp_path / "faces.zip")
    assert not list(tmp_path.glob("faces*"))


# The renderer


@pytest.mark.slow
def test_two_people_are_rendered_as_recorded(tmp_path):
    pytest.importorskip("anny")
    out = tmp_path / "set"
    command = ["data", "render", "bu3dfe", "--out", str(out), "--people", "2", "--size", "32", "--workers", "1"]
    assert run(command) == 0
    records = lines(out / "pictures.jsonl")
    assert len(records) == 14
    for known in records:
        with Pillow.open(out / known["file"]) as image:
            pixels = np.asarray(image)
        masks = {
            part: np.asarray(Pillow.open(out / "masks" / part / known["file"])) for part in ("face", "eyes", "mouth")
        }
        assert pixels.shape == (32, 32, 3)
        assert pixels[masks["face"] > 250].mean() > 20
        for part, places in (("eyes", slice(36, 48)), ("mouth", slice(48, 68))):
            rows, columns = np.nonzero(masks[part] > 64)
            centre, marked = np.array([columns.mean(), rows.mean()]) + 0.5, np.array(known["landmarks"])[places].mean(0)
            assert np.abs(centre - marked).max() < 2.5
    neutral, happy = (
        np.asarray(Pillow.open(out / f"train/{e}/{Path(records[-1]['file']).name}"), float)
        for e in ("neutral", "happy")
    )
    assert np.abs(neutral - happy).max() > 20
