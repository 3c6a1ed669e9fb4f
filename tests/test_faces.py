"""Faces are found, aligned, translated and pasted back."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import error_line, files_below, noise, read_pixels, translate
from PIL import Image as Pillow
from rich.console import Console
from tiny_models import SMALL

from aggan.cli.main import run
from aggan.data.sample_faces import PACK
from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.inference.alignment import (
    DEFAULT_LANDMARKS,
    alignment_like,
    alignment_of,
    measure_alignment,
    typical_landmarks,
)
from aggan.inference.compositing import NothingToTranslate, composite
from aggan.inference.faces import Faces, Similarity, blank, paste_face
from aggan.inference.landmarks import FaceFinder
from aggan.inference.translator import load
from aggan.methods.pretrained import CONFIG
from aggan.training.experiment import Experiment
from aggan.training.run import train
from aggan.types import Translation

SIDE = 32


class Red:
    """Paints the lower half of an image red."""

    size, fixed_size = SIDE, False

    def __init__(self) -> None:
        self.inputs: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> Translation:
        self.inputs.append(images)
        mask = torch.zeros(1, 1, SIDE, SIDE)
        mask[:, :, SIDE // 2 :] = 1
        content = torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
        return Translation(content, mask, content)


class PlainRed(Red):
    """Without attention: paints everything red."""

    def __call__(self, images: torch.Tensor) -> Translation:
        return Translation(super().__call__(images).image)


def transformed_landmarks(linear: complex, offset: complex) -> np.ndarray:
    """The default landmarks of a crop, transformed to an image."""
    points = linear * (np.array(DEFAULT_LANDMARKS) * SIDE @ (1, 1j)) + offset
    return np.stack((points.real, points.imag), axis=1)


@pytest.mark.parametrize("linear", [1, 2.5, 0.4 + 0.3j, -1j])
def test_a_similarity_is_recovered_from_its_points(linear):
    similarity = Similarity.fit(np.array(DEFAULT_LANDMARKS) * SIDE, transformed_landmarks(linear, 7 - 3j))
    assert np.allclose(similarity, (linear, 7 - 3j))


def test_a_similarity_is_the_least_squares_fit_of_noisy_points():
    random = np.random.default_rng(0)
    crop = np.array(DEFAULT_LANDMARKS) * SIDE
    landmarks = transformed_landmarks(2j, 5) + random.normal(0, 2, (5, 2))
    best = Similarity.fit(crop, landmarks)

    def error(linear: complex, offset: complex) -> float:
        return float((np.abs(linear * (crop @ (1, 1j)) + offset - landmarks @ (1, 1j)) ** 2).sum())

    for change in (0.01, -0.01, 0.01j, -0.01j):
        assert error(*best) < min(error(best.linear + change, best.offset), error(best.linear, best.offset + change))


def smooth_image() -> np.ndarray:
    """Crops of a smooth image can be compared."""
    small = Pillow.fromarray(np.random.default_rng(0).integers(80, 170, (5, 6, 3), np.uint8))
    return np.array(small.resize((180, 150), Pillow.Resampling.BICUBIC))


def test_an_upright_face_is_cropped_at_the_models_size():
    backend, source = Red(), smooth_image()
    Faces(lambda _: [transformed_landmarks(2, 40 + 30j)])(to_tensor(source)[None], backend)
    expected = Pillow.fromarray(source).crop((40, 30, 104, 94)).resize((SIDE, SIDE), Pillow.Resampling.BOX)
    crop = backend.inputs[0][0].add(1).mul(127.5).movedim(0, -1).numpy()
    assert np.abs(crop - np.array(expected)).mean() < 1


def test_a_rotated_face_is_cropped_upright():
    backend, source = Red(), smooth_image()
    faces = Faces(lambda _: [transformed_landmarks(2j, 120 + 30j)])  # the top of the head points to the right
    faces(to_tensor(source)[None], backend)
    expected = Pillow.fromarray(source).crop((56, 30, 120, 94)).resize((SIDE, SIDE), Pillow.Resampling.BOX)
    crop = backend.inputs[0][0].add(1).mul(127.5).movedim(0, -1).numpy()
    assert np.abs(crop - np.rot90(np.array(expected))).mean() < 1


def test_only_the_face_changes_and_its_edges_fade():
    source = smooth_image()
    prediction = Faces(lambda _: [transformed_landmarks(2, 40 + 30j)])(to_tensor(source)[None], Red())
    output = composite(source, prediction)
    inside = np.zeros(source.shape[:2], bool)
    inside[30 + 30 : 94, 40:104] = True  # interpolation blurs the crop's mask by a pixel above its lower half
    assert np.array_equal(output[~inside], source[~inside])
    assert (output[70:82, 55:90] == (255, 0, 0)).all()
    steps = np.abs(np.diff(prediction.mask[0, 0, 72].numpy()))
    assert steps.max() < 0.25


def test_without_attention_the_whole_crop_is_pasted():
    source = smooth_image()
    prediction = Faces(lambda _: [transformed_landmarks(2, 40 + 30j)])(to_tensor(source)[None], PlainRed())
    output = composite(source, prediction)
    assert (output[42:82, 55:90] == (255, 0, 0)).all()
    inside = np.zeros(source.shape[:2], bool)
    inside[30:94, 40:104] = True
    assert np.array_equal(output[~inside], source[~inside])


def test_faces_at_the_edge_of_the_image_and_outside_are_handled():
    source = smooth_image()
    for offset in (-30 - 30j, 140 + 100j, 1000, -1000j):
        faces = Faces(lambda _, offset=offset: [transformed_landmarks(2, offset)])
        output = composite(source, faces(to_tensor(source)[None], Red()))
        assert np.array_equal(output, source) == (abs(offset) >= 1000)


def test_where_crops_overlap_the_later_one_covers_the_earlier_one():
    image = to_tensor(smooth_image())[None]
    both, second = blank(image), blank(image)
    for offset in (40 + 30j, 50 + 30j):
        paste_face(both, image, Similarity(2, offset), Red())
    paste_face(second, image, Similarity(2, 50 + 30j), Red())
    assert both.mask.max() <= 1
    assert (both.mask >= second.mask - 1e-6).all()
    assert torch.isfinite(both.content).all()


def test_an_image_without_a_face_has_nothing_to_translate():
    with pytest.raises(NothingToTranslate, match="no face"):
        Faces(lambda _: [])(torch.zeros(1, 3, 20, 20), Red())


# --- with the real detector --------------------------------------------------------------------------


def person(name: str = "test/neutral/0005.jpg") -> Pillow.Image:
    with zipfile.ZipFile(PACK) as file, Pillow.open(io.BytesIO(file.read(name))) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    pytest.importorskip("dlib")
    return FaceFinder()


def group(folder: Path) -> Path:
    """Two people, one of them rotated, in front of a wall."""
    folder.mkdir(parents=True, exist_ok=True)
    wall = Pillow.new("RGB", (700, 420), (120, 130, 125))
    wall.paste(person().resize((220, 220)), (60, 120))
    rotated = person().resize((260, 260)).rotate(12, resample=Pillow.Resampling.BICUBIC, fillcolor=(120, 130, 125))
    wall.paste(rotated, (400, 60))
    wall.save(folder / "group.png")
    return folder / "group.png"


def test_every_face_is_found_where_it_is(tmp_path, finder):
    faces = finder(read_pixels(group(tmp_path)))
    assert len(faces) == 2
    noses = [landmarks[4] for landmarks in faces]
    assert np.abs(noses[0] - (530, 200)).max() < 25
    assert np.abs(noses[1] - (170, 238)).max() < 20


def test_a_face_is_found_in_a_small_tight_crop(finder):
    (landmarks,) = finder(np.array(person().resize((64, 64))))
    assert np.abs(landmarks / 64 - np.array(load("faces64").card.face)).max() < 0.1


def test_the_alignment_is_measured_on_images(tmp_path, finder):
    for name in ("0005", "0012", "0018"):
        person(f"test/neutral/{name}.jpg").save(tmp_path / f"{name}.png")
    alignment = alignment_like(tmp_path, finder)
    assert np.abs(np.array(alignment) - load("faces64").card.face).max() < 0.04
    images = [read_pixels(file) for file in sorted(tmp_path.iterdir())]
    assert np.abs(np.array(typical_landmarks(images, finder)) - alignment).max() < 0.01
    assert typical_landmarks([*images, None, None], finder) == typical_landmarks(images, finder)
    assert typical_landmarks([*images, None, None, None, None], finder) is None
    assert typical_landmarks([noise(64, 64)], finder) is None
    assert typical_landmarks([], finder) is None


def test_the_alignment_of_a_model_is_that_of_its_config_or_the_default(tmp_path, model, finder):
    messages = []
    assert alignment_of("faces64", finder, messages.append) == load("faces64").card.face
    assert messages == []
    assert alignment_of(model, finder, messages.append) == DEFAULT_LANDMARKS
    assert "its training images are not there: assuming the crops of common face detectors" in messages.pop()
    with pytest.raises(UserError, match="no model here"):
        alignment_of(tmp_path / "gone", finder, messages.append)


def test_faces_are_translated_and_images_without_one_are_copied_and_named(tmp_path, capsys):
    pytest.importorskip("dlib")
    group(tmp_path / "in")
    Pillow.new("RGB", (300, 300), "white").save(tmp_path / "in" / "wall.jpg")
    Pillow.new("RGB", (300, 300), "white").save(tmp_path / "in" / "old.bmp")
    out = tmp_path / "out"
    assert translate(Path("faces64"), tmp_path / "in", out=out, more=("--faces", "--masks")) == 0
    captured = capsys.readouterr()
    assert captured.out == f"1 translated to {out}, 2 copied unchanged\n"
    assert f"copied {tmp_path}/in/wall.jpg: no face\n" in captured.err
    assert files_below(out) == {"group.png", "group.mask.png", "group.content.png", "wall.jpg", "old.png"}
    assert (out / "wall.jpg").read_bytes() == (tmp_path / "in" / "wall.jpg").read_bytes()
    assert np.array_equal(read_pixels(out / "old.png"), read_pixels(tmp_path / "in" / "old.bmp"))
    before, after = read_pixels(tmp_path / "in" / "group.png"), read_pixels(out / "group.png")
    changed = np.abs(before.astype(int) - after).max(axis=2)
    assert changed[:45].max() == 0
    assert changed[170:300, 100:240].max() > 20
    assert changed[100:280, 440:620].max() > 20


def test_faces_are_aligned_as_in_a_folder_of_training_images(tmp_path, model, capsys):
    pytest.importorskip("dlib")
    source = group(tmp_path / "in")
    (tmp_path / "like").mkdir()
    person().save(tmp_path / "like" / "a.png")
    more = ("--faces", "--align-like", str(tmp_path / "like"))
    assert translate(model, source, out=tmp_path / "out", more=more) == 0
    capsys.readouterr()
    Pillow.fromarray(noise(64, 64)).save(tmp_path / "like" / "a.png")
    code = translate(model, source, out=tmp_path / "out", more=more)
    assert f"{tmp_path}/like: most of its images show no face" in error_line(capsys, code)


def people(folder: Path, size: int = 64) -> Path:
    """Two domains of people, cropped tightly."""
    for domain in ("neutral", "happy"):
        (folder / domain).mkdir(parents=True)
        for name in ("0005", "0012", "0018"):
            image = person(f"test/{domain}/{name}.jpg").resize((128, 128))
            image.crop((14, 14, 114, 114)).resize((size, size)).save(folder / domain / f"{name}.png")
    return folder


TRAIN = ("--data.size", "64", "--training.steps", "1", "--training.sample-every", "0")
TINY = tuple(f"--method.{name.replace('_', '-')}={value}" for name, value in SMALL.items())


@pytest.mark.slow
def test_faces_are_aligned_as_in_the_training_when_its_images_are_gone(tmp_path, capsys):
    pytest.importorskip("dlib")
    data, trained = people(tmp_path / "data"), tmp_path / "run"
    assert run(["train", "--data.root", str(data), "--out", str(trained), *TRAIN, *TINY]) == 0
    assert len(load(trained).card.face) == 5
    source = group(tmp_path / "in")
    assert translate(trained, source, out=tmp_path / "before", more=("--faces",)) == 0
    data.rename(tmp_path / "moved")
    capsys.readouterr()
    assert translate(trained, source, out=tmp_path / "after", more=("--faces",)) == 0
    assert "not known" not in capsys.readouterr().err
    assert (tmp_path / "after" / "group.png").read_bytes() == (tmp_path / "before" / "group.png").read_bytes()


def forget_alignment(trained: Path) -> None:
    """Write the card as earlier trainings did."""
    card = trained / "last" / CONFIG
    card.write_text(json.dumps(json.loads(card.read_text()) | {"face": []}))


@pytest.mark.slow
def test_a_resumed_run_keeps_its_alignment_or_measures_what_an_older_run_lacks(tmp_path, finder):
    data, trained = people(tmp_path / "data"), tmp_path / "run"
    assert run(["train", "--data.root", str(data), "--out", str(trained), *TRAIN, *TINY]) == 0
    measured = load(trained).card.face
    experiment, quiet = Experiment.load(trained), Console(quiet=True)
    for steps, find_alignment in ((2, lambda _: pytest.fail("measured again")), (3, measure_alignment)):
        more = experiment.training.model_copy(update={"steps": steps})
        experiment = experiment.model_copy(update={"training": more})
        assert train(experiment, trained, quiet, resume=True, find_alignment=find_alignment)
        assert load(trained).card.face == measured
        forget_alignment(trained)


@pytest.mark.slow
def test_without_an_alignment_one_sentence_says_what_is_assumed(tmp_path, capsys):
    pytest.importorskip("dlib")
    data, trained = people(tmp_path / "data"), tmp_path / "run"
    assert run(["train", "--data.root", str(data), "--out", str(trained), *TRAIN, *TINY]) == 0
    forget_alignment(trained)
    source = group(tmp_path / "in")
    assert translate(trained, source, out=tmp_path / "with-images", more=("--faces",)) == 0
    assert "assuming" not in capsys.readouterr().err
    data.rename(tmp_path / "moved")
    assert translate(trained, source, out=tmp_path / "without", more=("--faces",)) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "assuming" in line]
    assert line == (
        f"{trained}: where faces lie in its training images is not known, as its training images are not there: "
        "assuming the crops of common face detectors; name a folder of images like the "
        "training images with --align-like DIR"
    )
    more = ("--faces", "--align-like", str(tmp_path / "moved"))
    assert translate(trained, source, out=tmp_path / "like", more=more) == 0
    assert "assuming" not in capsys.readouterr().err


def test_the_alignment_of_images_without_faces_is_not_stored(finder):
    assert measure_alignment([np.zeros((3, 64, 64, 3), np.uint8)] * 2) == ()


def test_without_the_extra_no_alignment_is_stored(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert measure_alignment([np.zeros((3, 64, 64, 3), np.uint8)]) == ()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--faces", "--tiles"), "--faces and --tiles exclude each other: choose one"),
        (("--align-like", "."), "--align-like only works with --faces: add --faces"),
    ],
)
def test_views_that_exclude_each_other_are_refused(tmp_path, model, capsys, more, expected):
    code = translate(model, group(tmp_path), out=tmp_path / "out", more=more)
    assert expected in error_line(capsys, code)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    code = translate(model, group(tmp_path), out=tmp_path / "out", more=("--faces",))
    assert "finding faces needs dlib, which is not installed: run pip install '.[faces]'" in error_line(capsys, code)
