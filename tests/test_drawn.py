"""The drawn set: scenes with a known answer, their folders, and what is measured on them."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import error_line, read_pixels

from aggan.cli.main import run
from aggan.data.drawn import store
from aggan.data.drawn.scenes import DOMAINS, Drawing, draw_scene
from aggan.data.drawn.store import draw_set
from aggan.data.folders import DataConfig, find
from aggan.data.index import read_records
from aggan.errors import UserError
from aggan.evaluation import metrics
from aggan.evaluation.classifiers import EvaluationModels
from aggan.evaluation.evaluate import Outputs, measure_row
from aggan.io import write_atomic

SIZE = 32


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Drawing]]:
    """Thirty scenes in every domain."""
    return {domain: [draw_scene((0, 0, number), domain, SIZE) for number in range(30)] for domain in DOMAINS}


def stacked(drawings: list[Drawing], part: str) -> np.ndarray:
    return np.stack([getattr(drawing, part) for drawing in drawings])


# --- scenes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["spotted", "striped"])
def test_a_pattern_changes_exactly_the_pixels_of_its_mask(scenes, domain):
    plain, images = (stacked(scenes[name], "image").astype(int) for name in ("plain", domain))
    pattern, vase = stacked(scenes[domain], "pattern"), stacked(scenes[domain], "vase")
    differences = np.abs(images - plain).max(3)
    assert (differences[pattern == 0] == 0).all()
    assert (differences[pattern >= 128] > 4).all()
    assert (pattern <= vase).all()
    assert not stacked(scenes["plain"], "pattern").any()
    np.testing.assert_array_equal(vase, stacked(scenes["plain"], "vase"))


@pytest.mark.parametrize("domain", ["spotted", "striped"])
def test_every_scene_shows_some_of_its_pattern_and_most_of_its_pixels_stay(scenes, domain):
    shares = stacked(scenes[domain], "pattern").mean((1, 2)) / 255
    assert shares.min() > 0.01
    assert shares.max() < 0.15


def test_scenes_differ_in_everything_and_one_scene_is_always_the_same(scenes):
    again = draw_scene((0, 0, 3), "spotted", SIZE)
    np.testing.assert_array_equal(again.image, scenes["spotted"][3].image)
    images = stacked(scenes["plain"], "image")
    assert (images.std(0) > 10).all()  # no pixel is alike in all scenes
    assert len({image.tobytes() for image in images}) == len(images)


def test_a_scene_is_the_same_at_any_size():
    small, large = (draw_scene((0, 0, 1), "spotted", size).image.astype(float) for size in (32, 96))
    reduced = large.reshape(32, 3, 32, 3, 3).mean((1, 3))
    assert np.abs(reduced - small).mean() < 3
    other = draw_scene((0, 0, 2), "spotted", 32).image
    assert np.abs(reduced - other).mean() > 20


def test_scenes_are_the_same_everywhere():
    # Quarters of three images, recorded once; a processor may round differently.
    quarters = [
        draw_scene((0, 1, number), domain, 16).image.reshape(2, 8, 2, 8, 3).mean((1, 3, 4)).round(1).ravel().tolist()
        for number, domain in enumerate(DOMAINS)
    ]
    np.testing.assert_allclose(quarters, RECORDED, atol=0.5)


RECORDED = [[171.5, 163.5, 141.7, 128.2], [127.8, 111.8, 161.3, 146.6], [170.6, 135.8, 101.6, 116.6]]


# --- the set --------------------------------------------------------------------------------------


def small_set(
    out: Path, size: int = 16, images: int = 3, test_images: int = 2, seed: int = 0, pairs: bool = False
) -> int:
    return draw_set(out, size, images, test_images, seed, pairs)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_set_has_the_folders_index_and_masks_of_a_data_set(tmp_path):
    assert small_set(tmp_path / "set") == 15
    split = find(DataConfig(root=tmp_path / "set"))
    assert [(domain.name, len(domain.files)) for domain in split.train] == [(name, 3) for name in DOMAINS]
    assert [len(domain.files) for domain in split.test] == [2, 2, 2]
    records = read_records(tmp_path / "set" / "images.jsonl")
    assert {record["file"] for record in records} == {
        file for file in contents(tmp_path / "set") if file.startswith(("train/", "test/"))
    }
    training = [record["scene"] for record in records if record["split"] == "train"]
    assert len(set(training)) == 9  # nothing is paired
    masks = {file for file in contents(tmp_path / "set") if file.startswith("masks/")}
    assert masks == {
        f"masks/{part}/{record['file']}"
        for record in records
        for part in ("vase", "pattern")
        if part == "vase" or record["domain"] != "plain"
    }
    drawing = draw_scene((0, 0, 1), "striped", 16)
    np.testing.assert_array_equal(read_pixels(tmp_path / "set/test/striped/00001.png"), drawing.image)
    np.testing.assert_array_equal(read_pixels(tmp_path / "set/masks/pattern/test/striped/00001.png"), drawing.pattern)
    card = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert (card["name"], card["size"], card["licence"]) == ("drawn", 16, "CC0-1.0")
    assert card["counts"] == {"train": dict.fromkeys(DOMAINS, 3), "test": dict.fromkeys(DOMAINS, 2)}


def test_a_larger_set_has_the_images_of_a_smaller_one_and_another_seed_has_none(tmp_path):
    small_set(tmp_path / "small")
    small_set(tmp_path / "large", images=4, test_images=3)
    small_set(tmp_path / "other", seed=1)
    small, large, other = (
        {file: content for file, content in contents(tmp_path / name).items() if file.endswith(".png")}
        for name in ("small", "large", "other")
    )
    assert small.items() <= large.items()
    images = [{c for f, c in part.items() if not f.startswith("masks/")} for part in (large, other)]
    assert not images[0] & images[1]


def test_pairs_are_the_same_scenes_in_every_domain(tmp_path):
    small_set(tmp_path / "set", pairs=True)
    names = [{file.name for file in (tmp_path / "set" / "train" / name).iterdir()} for name in DOMAINS]
    assert names[0] == names[1] == names[2]
    plain, spotted = (read_pixels(tmp_path / f"set/train/{name}/00000.png") for name in ("plain", "spotted"))
    background = read_pixels(tmp_path / "set/masks/pattern/train/spotted/00000.png") == 0
    np.testing.assert_array_equal(plain[background], spotted[background])


def test_an_interrupted_set_is_continued_and_a_complete_one_stays(tmp_path, monkeypatch):
    def interrupted(path: Path, write) -> None:
        if len(list((tmp_path / "set").rglob("*.png"))) == 8:
            raise KeyboardInterrupt
        write_atomic(path, write)

    monkeypatch.setattr(store, "write_atomic", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_set(tmp_path / "set")
    monkeypatch.setattr(store, "write_atomic", write_atomic)
    with pytest.raises(UserError, match=r"set: holds another set than these 15 scenes at 24 px: choose a new folder"):
        small_set(tmp_path / "set", size=24)
    small_set(tmp_path / "set")
    small_set(tmp_path / "once")
    assert contents(tmp_path / "set") == contents(tmp_path / "once")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "set").rglob("*")}
    assert small_set(tmp_path / "set") == 15
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "set").rglob("*")} == times


def test_the_command_draws_a_set_and_says_how_to_train_on_it(tmp_path, capsys):
    out = tmp_path / "my vases"
    arguments = ["data", "draw", "--out", str(out), "--size", "16", "--images", "2", "--test-images", "1"]
    assert run(arguments) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"9 images in {out}. Train with: aggan train ")
    hint = shlex.split(output.split("aggan train ")[1].replace("--data.size 16", "--data.size 8"))
    code = run(["train", *hint[:-1], str(tmp_path / "run")])
    assert "the discriminators need at least" in error_line(capsys, code)


MISTAKES = {
    "size": (["--size", "8"], "scenes are drawn at 16 to 512 px, not 8"),
    "images": (["--images", "1"], "a set has 2 training images of each domain or more"),
    "test images": (["--test-images", "-1"], "no negative numbers"),
    "seed": (["--seed", "-1"], "no negative numbers"),
}


@pytest.mark.parametrize(("options", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(tmp_path, capsys, options, expected):
    code = run(["data", "draw", "--out", str(tmp_path / "set"), *options])
    assert expected in error_line(capsys, code)
    assert not (tmp_path / "set").exists()


def test_a_set_is_not_drawn_over_anything_else(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    code = run(["data", "draw", "--out", str(tmp_path)])
    assert "is not empty and was not made by this command" in error_line(capsys, code)


# --- what is measured on it -----------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["spotted", "striped"])
def test_a_mask_on_the_pattern_beats_one_on_the_vase_and_one_everywhere(scenes, domain):
    plain, images = (stacked(scenes[name], "image") for name in ("plain", domain))
    pattern, vase = (stacked(scenes[domain], part) / 255 for part in ("pattern", "vase"))
    rows = [
        measure_row(Outputs(plain, images, images, masks=mask), EvaluationModels("none"), domain)
        for mask in (pattern, vase, np.ones_like(vase))
    ]
    ious = [row["mask_iou"] for row in rows]
    assert ious == sorted(ious, reverse=True)
    assert ious[0] > 0.7 > 0.5 > ious[1] > 3 * ious[2]
    assert rows[0]["mask_on_change"] > 0.999
    assert rows[0]["background_change"] == 0


def test_intersection_over_union_by_hand():
    a = np.zeros((3, 2, 4), bool)
    b = a.copy()
    a[0, 0], b[0, :, 0] = True, True  # four and two pixels, one of which is in both
    a[1, 0, 0], b[1, 1, 1] = True, True
    np.testing.assert_array_equal(metrics.intersection_over_union(a, b), [1 / 5, 0, np.nan])


def test_pixels_that_change_half_as_much_as_the_most_are_clearly_changed():
    inputs = np.full((2, 1, 4, 3), 10, np.uint8)
    truth = inputs.copy()
    truth[0, 0, :, :] = np.array([10, 49, 50, 90])[:, None]
    np.testing.assert_array_equal(metrics.clearly_changed(inputs, truth)[0], [[False, False, True, True]])
    assert not metrics.clearly_changed(inputs, truth)[1].any()
