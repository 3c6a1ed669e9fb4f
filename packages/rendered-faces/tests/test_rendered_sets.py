"""Rendered data sets without the renderer: protocols, scenes, records, resuming, packing. One test needs anny."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from aggan.cli.main import run
from aggan.data import sample_faces
from aggan.data.folders import DataConfig, find
from aggan.errors import UserError
from PIL import Image as Pillow

from rendered_faces import expressions, pack, person, sheet, store
from rendered_faces.action_units import UNITS, intensities
from rendered_faces.backdrop import Clutter, Wall
from rendered_faces.expressions import ACTIONS, EXPRESSIONS
from rendered_faces.protocols import PROTOCOLS, Sitting, plan, population
from rendered_faces.records import image_record
from rendered_faces.render import RenderedImage, render_sitting
from rendered_faces.scene import Degradation, gaze_actions


def error_of(capsys, *argv: str) -> str:
    """The one line with which a command line is refused."""
    code = run(list(argv))
    streams = capsys.readouterr()
    assert (code, streams.out, streams.err.count("\n")) == (2, "", 1), streams
    return streams.err


# Expressions


def test_a_person_always_makes_an_expression_in_the_same_way_unlike_other_people():
    assert expressions.draw(3, 5) == expressions.draw(3, 5)
    smiles = [expressions.draw(3, index)["happy"] for index in range(20)]
    assert len({smile.strength for smile in smiles}) == 20
    for smile in smiles:
        left, right = smile.actions["mouthSmileLeft"], smile.actions["mouthSmileRight"]
        assert left != right
        assert abs(left - right) < 0.4 * max(left, right)


def test_every_expression_consists_of_facial_actions_within_their_range():
    assert len(set(ACTIONS)) == 52
    for index in range(30):
        manners = expressions.draw(1, index)
        assert tuple(manners) == EXPRESSIONS
        assert manners["neutral"].strength == 0
        for manner in manners.values():
            assert manner.actions.keys() <= set(ACTIONS)
            assert all(0 <= value <= 1 for value in manner.actions.values())
            assert 0 <= manner.strength <= 1


def test_contempt_is_one_sided_and_the_side_varies():
    sides = set()
    for index in range(30):
        actions = expressions.draw(1, index)["contemptuous"].actions
        sides.add({"Left", "Right"}.intersection(name.removeprefix("mouthDimple") for name in actions).pop())
    assert sides == {"Left", "Right"}


def test_other_indices_and_seeds_give_other_people():
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


def test_the_units_distinguish_the_expressions():
    for index in range(10):
        manners = expressions.draw(2, index)
        vectors = [np.array(intensities(manner.actions)) for manner in manners.values()]
        for first, second in combinations(vectors, 2):
            assert np.abs(first - second).max() > 0.75
        assert all(len(vector) == 17 and vector.min() >= 0 and vector.max() <= 5 for vector in vectors)


# Protocols


def image_counts(sittings: list[Sitting]) -> Counter:
    return Counter((s.split, expression) for s in sittings for expression in s.expressions)


def test_the_protocols_have_the_papers_numbers():
    assert sum(image_counts(plan("rafd", 0, None)).values()) == 67 * 8 * 3 * 3 == 4824
    assert sum(image_counts(plan("arface", 0, None)).values()) == 1018
    assert sum(image_counts(plan("bu3dfe", 0, None)).values()) == 100 * 7
    assert image_counts(plan("celeba", 0, None)) == {
        (s, e): 1000 for s in ("train", "test") for e in ("neutral", "happy")
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("people", [4, 9])
def test_nobody_is_in_both_splits_and_a_seed_gives_the_same_plan(protocol, people):
    sittings = plan(protocol, 7, people)
    splits = {split: {s.person for s in sittings if s.split == split} for split in ("train", "test")}
    assert splits["train"]
    assert splits["test"]
    assert not splits["train"] & splits["test"]
    assert len(splits["train"] | splits["test"]) == people
    assert len({s.name for s in sittings}) == len(sittings)
    repeated, other = plan(protocol, 7, people), plan(protocol, 8, people)
    assert [(s.name, s.split, s.scene.yaw) for s in repeated] == [(s.name, s.split, s.scene.yaw) for s in sittings]
    assert [s.scene.light.key.tolist() for s in other] != [s.scene.light.key.tolist() for s in sittings]


def test_rafd_has_three_cameras_and_three_gazes_for_everybody():
    views = {(s.details["camera"], s.details["gaze"]): s.scene for s in plan("rafd", 0, 2) if s.person == 0}
    assert {(camera, gaze) for camera in (45, 90, 135) for gaze in ("left", "frontal", "right")} == views.keys()
    assert [views[camera, "frontal"].yaw for camera in (45, 90, 135)] == [-45, 0, 45]
    assert views[90, "left"].gaze[0] > 0 == views[90, "frontal"].gaze[0] > views[90, "right"].gaze[0]


def test_the_second_visit_of_arface_has_other_light():
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


def test_celeba_is_unpaired_except_for_the_ground_truth_of_test_images():
    sittings = plan("celeba", 0, 40)
    assert len({s.person for s in sittings}) == 40
    for sitting in sittings:
        expected = {"neutral", "happy"} - {*sitting.expressions} if sitting.split == "test" else set()
        assert {*sitting.ground_truth} == expected


def test_bu3dfe_has_a_black_background_and_no_contempt():
    sittings = plan("bu3dfe", 0, 3)
    assert all(s.expressions == EXPRESSIONS[:7] for s in sittings)
    assert all(not s.scene.backdrop.paint(16).any() for s in sittings)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_too_few_people_are_refused(protocol, capsys):
    assert "people cannot be" in error_of(capsys, "data", "render", protocol, "--out", "unused", "--people", "1")


def test_a_renamed_protocol_keeps_its_people_and_its_old_name_gets_a_sentence(capsys):
    assert population("classifiers", 0) == int.from_bytes(hashlib.sha256(b"judges 0").digest()[:6], "big")
    error = error_of(capsys, "data", "render", "judges", "--out", "unused")
    assert error.endswith(
        "the protocol 'judges' is now called 'classifiers': aggan data render classifiers --out DIR\n"
    )


# Scenes


def test_lids_follow_the_gaze():
    assert gaze_actions((0.0, 0.0)) == {}
    assert gaze_actions((35.0, 0.0)) == {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}
    assert gaze_actions((0.0, -70.0)) == {"eyeLookDownLeft": 1.0, "eyeLookDownRight": 1.0}


def test_a_cheap_camera_blurs_and_keeps_the_size():
    sharp = np.zeros((32, 32, 3), np.uint8)
    sharp[:, 16:] = 255
    degraded = Degradation(0.05, 60).apply(sharp)
    assert (degraded.shape, degraded.dtype) == (sharp.shape, sharp.dtype)
    steps = [np.abs(np.diff(image.astype(int), axis=1)).max() for image in (degraded, sharp)]
    assert 20 < steps[0] < 120 < steps[1]


@pytest.mark.parametrize("backdrop", [Clutter(3, 0.02, 0.8), Wall(np.full(3, 0.5), np.array([0.2, 0.1]), 0.5, 3)])
def test_a_backdrop_looks_alike_at_every_size(backdrop):
    small, large = (backdrop.paint(size).reshape(size, size, 3) for size in (32, 128))
    reduced = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.abs(reduced - small).mean() < 0.05 * max(1, small.mean())
    assert small.std() > 0.01


# Records and the folder


def grey(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, RenderedImage]]:
    """A renderer that draws one grey for each sitting and expression."""
    for number, expression in enumerate(sitting.expressions + sitting.ground_truth):
        pixels = np.full((settings.size, settings.size), 10 * number + sitting.person, np.uint8)
        landmarks = np.full((68, 2), settings.size / 2)
        image = np.repeat(pixels[:, :, None], 3, axis=2)
        masks = {"face": pixels, "hair": pixels}
        yield expression, RenderedImage(image, masks, landmarks, {"jawOpen": 0.25}, {"strength": 0.5})


def render_set(out: Path, protocol: str, people: int, count: int | None = None, masks: bool = True) -> list[Sitting]:
    """Render the first `count` unfinished sittings of a set, by default all; returns the unfinished ones."""
    settings, sittings = store.Settings(protocol, people, 16, 0, masks), plan(protocol, 0, people)
    assert not store.is_complete(out, settings)
    store.begin(out, settings)
    unfinished = store.unfinished(out, sittings)
    for sitting in unfinished[:count]:
        render_sitting(out, settings, grey, sitting)
    if count is None:
        store.finish(out, settings, sittings)
    return unfinished


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_holds_everything_that_is_known_about_an_image():
    sitting = plan("rafd", 0, 2)[0]
    fields = image_record(
        sitting, "happy", {"strength": 0.8, "glasses": False}, {"mouthSmileLeft": 0.5}, np.zeros((68, 2))
    )
    assert fields["file"] == f"{sitting.split}/happy/0000_045_left.png"
    assert {name: fields[name] for name in ("expression", "person", "strength", "gaze", "camera")} == {
        "expression": "happy", "person": "0000", "strength": 0.8, "gaze": "left", "camera": 45,
    }  # fmt: skip
    assert list(fields["actions"]) == list(ACTIONS)
    assert len(fields["action_units"]) == 17
    assert np.shape(fields["landmarks"]) == (68, 2)
    assert json.loads(json.dumps(fields)) == fields


def test_a_set_is_laid_out_for_training(tmp_path):
    render_set(tmp_path / "set", "bu3dfe", 6)
    split = find(DataConfig(root=tmp_path / "set", names=("neutral", "happy")))
    assert [len(domain.files) for domain in split.train + split.test] == [5, 5, 1, 1]
    records = lines(tmp_path / "set" / "images.jsonl")
    assert len(records) == 6 * 7
    for record in records:
        for part in ("face", "hair"):
            with Pillow.open(tmp_path / "set" / "masks" / part / record["file"]) as mask:
                assert (mask.mode, mask.size) == ("L", (16, 16))
    card = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert (card["name"], card["version"], card["licence"]) == ("bu3dfe", 1, "CC0-1.0")
    assert card["counts"]["train"]["sad"] == 5
    assert card["how"].startswith("rendered")
    assert not (tmp_path / "set" / store.WORK).exists()


def test_ground_truth_is_kept_apart(tmp_path):
    render_set(tmp_path, "celeba", 8)
    pairs, records = lines(tmp_path / "pairs.jsonl"), lines(tmp_path / "images.jsonl")
    assert (len(pairs), len(records)) == (4, 8)
    for pair in pairs:
        assert pair["input"].startswith("test/")
        assert pair["file"].startswith("answers/")
        assert (tmp_path / pair["input"]).exists()
        assert (tmp_path / pair["file"]).exists()
        assert pair["input"] in {record["file"] for record in records}
    assert not [record for record in records if record["file"].startswith("answers/")]
    assert {folder.name for folder in (tmp_path / "masks" / "face").iterdir()} == {"train", "test"}


def test_a_second_run_continues_the_first_and_gives_the_same_set(tmp_path):
    render_set(tmp_path / "broken", "arface", 4, count=3)
    assert not (tmp_path / "broken" / "dataset.json").exists()
    second = render_set(tmp_path / "broken", "arface", 4)
    complete = render_set(tmp_path / "whole", "arface", 4)
    assert len(second) == len(complete) - 3
    files = [
        sorted(f.relative_to(tmp_path / name) for f in (tmp_path / name).rglob("*")) for name in ("broken", "whole")
    ]
    assert files[0] == files[1]
    for file in files[0]:
        if (tmp_path / "whole" / file).is_file():
            assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "broken" / file).read_bytes()


def test_an_interrupted_sitting_is_rendered_again(tmp_path):
    settings, sitting = store.Settings("bu3dfe", 2, 16, 0, True), plan("bu3dfe", 0, 2)[0]

    def interrupted(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, RenderedImage]]:
        yield next(grey(settings, sitting))
        raise KeyboardInterrupt

    store.begin(tmp_path, settings)
    with pytest.raises(KeyboardInterrupt):
        render_sitting(tmp_path, settings, interrupted, sitting)
    assert store.unfinished(tmp_path, [sitting]) == [sitting]
    render_sitting(tmp_path, settings, grey, sitting)
    assert store.unfinished(tmp_path, [sitting]) == []


@pytest.mark.parametrize("count", [2, None])
def test_changed_settings_are_refused_for_an_unfinished_and_for_a_complete_set(tmp_path, count, capsys):
    render_set(tmp_path, "bu3dfe", 3, count=count)
    for option, message in (
        ("--size=32", "size 16, not 32"),
        ("--people=4", "people 3, not 4"),
        ("--seed=1", "seed 0, not"),
    ):
        options = {"--size": "--size=16", "--people": "--people=3", "--seed": "--seed=0"}
        options[option.split("=")[0]] = option
        assert message in error_of(capsys, "data", "render", "bu3dfe", "--out", str(tmp_path), *options.values())
    with pytest.raises(UserError, match="masks True, not False"):
        store.is_complete(tmp_path, store.Settings("bu3dfe", 3, 16, 0, False))


def test_a_complete_set_is_left_unchanged(tmp_path, capsys):
    render_set(tmp_path, "bu3dfe", 3)
    assert run(["data", "render", "bu3dfe", "--out", str(tmp_path), "--people", "3", "--size", "16"]) == 0
    assert capsys.readouterr().out == f"{tmp_path} is rendered already\n"


def test_other_files_are_left_unchanged(tmp_path, capsys):
    (tmp_path / "holiday.png").touch()
    argv = ["data", "render", "bu3dfe", "--out", str(tmp_path), "--people", "3"]
    assert "is not empty and was not made by this command" in error_of(capsys, *argv)
    argv[4] = str(tmp_path / "holiday.png")
    assert "is a file" in error_of(capsys, *argv)
    argv[4] = 300 * "x"
    assert "x: File name too long" in error_of(capsys, *argv)


def test_wrong_options_and_a_missing_renderer(tmp_path, capsys, monkeypatch):
    out = ["--out", str(tmp_path / "out")]
    assert "no protocol 'lfw'; there are rafd, arface" in error_of(capsys, "data", "render", "lfw", *out)
    assert "--workers 0 is too small" in error_of(capsys, "data", "render", "rafd", *out, "--workers", "0")
    monkeypatch.setattr("rendered_faces.render.find_spec", lambda name: None)
    error = error_of(capsys, "data", "render", "rafd", *out)
    assert "needs anny" in error
    assert "pip install ./packages/rendered-faces (in a checkout of this repository)" in error
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(UserError, match=r"No space left on device.*run the same command to continue from here"):
        render_set(tmp_path, "bu3dfe", 2)
    assert not list(tmp_path.rglob("*.png*"))


# The sheet and the pack


def test_a_sheet_shows_sittings_from_all_over_a_set(tmp_path):
    for protocol, people, size in (("bu3dfe", 12, (7, 4)), ("celeba", 40, (8, 4))):
        render_set(tmp_path / protocol, protocol, people, masks=False)
        image = sheet.sheet(tmp_path / protocol, rows=4)
        assert image.size == (128 * size[0], 128 * size[1])
        sheet.save(image, tmp_path / "sheet.jpg")
        assert 0 < (tmp_path / "sheet.jpg").stat().st_size <= sheet.LARGEST


@pytest.fixture
def packed(tmp_path, monkeypatch) -> int:
    """Twenty people in a pack; the number of images without pairs."""
    sittings = plan("faces", 0, 20)
    settings = store.Settings("faces", 20, 128, 0, False)
    store.begin(tmp_path / "set", settings)
    for sitting in sittings:
        render_sitting(tmp_path / "set", settings, grey, sitting)
    with pytest.raises(UserError, match=r"no dataset\.json here"):
        pack.pack(tmp_path / "set", tmp_path / "faces.zip")
    store.finish(tmp_path / "set", settings, sittings)
    pack.pack(tmp_path / "set", tmp_path / "faces.zip")
    monkeypatch.setattr(sample_faces, "PACK", tmp_path / "faces.zip")
    return len(lines(tmp_path / "set" / "images.jsonl"))


def test_a_packed_set_is_unpacked_again(tmp_path, packed):
    pairs = len(lines(tmp_path / "set" / "pairs.jsonl"))
    assert sample_faces.unpack(tmp_path / "out", 64) == packed
    before, after = (lines(tmp_path / name / "images.jsonl") for name in ("set", "out"))
    assert [r["file"] for r in before] == [r["file"] for r in after]
    assert after[0]["landmarks"][0] == [32, 32]
    neutral, happy = (
        {r["person"] for r in after if r["split"] == "train" and r["expression"] == e} for e in ("neutral", "happy")
    )
    assert neutral
    assert happy
    assert not neutral & happy
    assert sample_faces.unpack(tmp_path / "paired", 64, pairs=True) == packed + pairs
    names = [{p.name for p in (tmp_path / "paired" / "train" / e).iterdir()} for e in ("neutral", "happy")]
    assert names[0] == names[1]
    assert len(names[0]) == pairs
    assert len(lines(tmp_path / "paired" / "images.jsonl")) == packed + pairs


def test_unpacked_faces_are_not_rendered_over(tmp_path, packed, capsys):
    out = tmp_path / "out"
    sample_faces.unpack(out, 64)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    argv = ["data", "render", "faces", "--people", "20", "--no-masks", "--out", str(out)]
    assert "was not made by this command" in error_of(capsys, *argv)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_the_pack_command_reports_an_incomplete_set(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["pack", str(tmp_path), str(tmp_path / "faces.zip")])
    with pytest.raises(SystemExit, match="2"):
        pack.main()
    assert f"{tmp_path}: no dataset.json here" in capsys.readouterr().err


def test_a_sheet_of_no_set_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["sheet", str(tmp_path), str(tmp_path / "sheet.jpg")])
    with pytest.raises(SystemExit, match="2"):
        sheet.main()
    assert f"{tmp_path}: no images.jsonl with images here" in capsys.readouterr().err


def test_too_large_a_pack_is_refused(tmp_path, monkeypatch):
    render_set(tmp_path / "set", "faces", 2)
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
    records = lines(out / "images.jsonl")
    assert len(records) == 14
    for record in records:
        with Pillow.open(out / record["file"]) as image:
            pixels = np.asarray(image)
        masks = {
            part: np.asarray(Pillow.open(out / "masks" / part / record["file"])) for part in ("face", "eyes", "mouth")
        }
        assert pixels.shape == (32, 32, 3)
        assert pixels[masks["face"] > 250].mean() > 20
        for part, indices in (("eyes", slice(36, 48)), ("mouth", slice(48, 68))):
            rows, columns = np.nonzero(masks[part] > 64)
            of_mask = np.array([columns.mean(), rows.mean()]) + 0.5
            of_landmarks = np.array(record["landmarks"])[indices].mean(0)
            assert np.abs(of_mask - of_landmarks).max() < 2.5
    neutral, happy = (
        np.asarray(Pillow.open(out / f"train/{e}/{Path(records[-1]['file']).name}"), float)
        for e in ("neutral", "happy")
    )
    assert np.abs(neutral - happy).max() > 20
