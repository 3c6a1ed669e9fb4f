"""The score that chooses best/: which one it is, and what it measures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.evaluation import metrics, model_selection
from aggan.evaluation.classifiers import EvaluationModels, load_expression_classifier, load_rendered_face_models
from aggan.evaluation.model_selection import choose_score, classification_scorer, frechet_scorer, swd_score
from aggan.evaluation.swd import SlicedWasserstein
from aggan.methods.aggan import AGGAN
from aggan.methods.base import Task
from aggan.training.config import TrainingConfig

PAIR = ("neutral", "happy")


def noise_sets() -> tuple[np.ndarray, np.ndarray]:
    """Dark and bright noise, (6, 32, 32, 3) each."""
    noise = np.random.default_rng(0)
    dark, bright = (noise.integers(low, low + 99, (6, 32, 32, 3), np.uint8) for low in (0, 150))
    return dark, bright


@pytest.fixture
def copying(small) -> AGGAN:
    """A method whose masks are 0, so that both directions copy their input."""
    method = small.build(Task(PAIR, 32)).eval()
    with torch.no_grad():
        for generator in (method.G_xy, method.G_yx):
            generator.head.bias[0] = -1000.0
    return method


# --- the values -----------------------------------------------------------------------------------


def test_the_frechet_score_is_the_mean_distance_of_both_directions(copying):
    dark, bright = noise_sets()
    features = load_rendered_face_models().features
    assert features is not None
    expected = metrics.frechet(features.extract(dark), features.extract(bright))
    assert frechet_scorer(features)([dark, bright])(copying) == {"frechet_distance": pytest.approx(expected, rel=1e-3)}


def test_the_swd_score_compares_as_many_images_as_the_smaller_domain_has(copying):
    dark, bright = noise_sets()
    expected = (SlicedWasserstein(bright[:4])(dark[:4]) + SlicedWasserstein(dark[:4])(bright[:4])) / 2
    assert swd_score([dark, bright[:4]])(copying) == {"swd": pytest.approx(expected, rel=1e-3)}


class BrightnessClassifier:
    """Classifies bright images as happy."""

    classes = ("happy", "neutral")

    def predict(self, images: np.ndarray) -> np.ndarray:
        return (images.mean(axis=(1, 2, 3)) < 128).astype(np.int64)


def test_the_classification_score_is_the_share_that_misses_the_target(copying):
    dark, bright = noise_sets()
    assert classification_scorer(BrightnessClassifier())([dark, bright])(copying) == {"misclassified": 1.0}
    mixed = np.concatenate([dark[:3], bright[:3]])
    assert classification_scorer(BrightnessClassifier())([mixed, mixed])(copying) == {"misclassified": 0.5}


# --- the choice -----------------------------------------------------------------------------------

CHOICES = {
    "other data": (False, {}, "the sliced Wasserstein distance to test images"),
    "rendered data": (True, {}, "the Frechet distance on features of the classifier rendered-faces"),
    "swd": (True, {"score": "swd"}, "the sliced Wasserstein distance to test images"),
    "a classifier": (False, {"classifier": "rendered-faces"}, "features of the classifier rendered-faces"),
    "classifier": (True, {"score": "classifier"}, "features of the classifier rendered-faces"),
    "none": (True, {"score": "none"}, "nothing is scored"),
}


@pytest.mark.parametrize(("rendered", "settings", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_the_score_is_found_from_the_data_or_named(faces, rendered, settings, expected):
    if rendered:
        (faces / "dataset.json").write_text(json.dumps({"name": "faces", "how": "rendered by hand"}))
    for data in (DataConfig(root=faces), DataConfig(x=faces / "train" / "neutral", y=faces / "train" / "happy")):
        choice = choose_score(TrainingConfig(**settings), data)
        assert expected in choice.description
        assert (choice.scorer is None) == (settings.get("score") == "none")


def test_a_damaged_card_is_not_of_a_rendered_set(faces):
    (faces / "dataset.json").write_text("nonsense")
    assert "Wasserstein" in choose_score(TrainingConfig(), DataConfig(root=faces)).description


MISTAKES = {
    "no classifier": ({"score": "classifier"}, "needs a classifier: name one with --training.classifier"),
    "none": ({"score": "classifier", "classifier": "none"}, "needs a classifier: name one with --training.classifier"),
    "contradiction": (
        {"score": "swd", "classifier": "photographs"},
        "the score swd uses no classifier: leave out --training.classifier photographs",
    ),
    "unknown": ({"classifier": "leaves"}, "no classifier 'leaves'"),
}


@pytest.mark.parametrize(("settings", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_contradictions_are_one_sentence(faces, settings, message):
    with pytest.raises(UserError, match=message):
        choose_score(TrainingConfig(**settings), DataConfig(root=faces))


def test_a_classifier_without_features_must_know_the_domains(faces, monkeypatch):
    models = EvaluationModels("photographs", BrightnessClassifier())
    monkeypatch.setattr(model_selection, "load_models", lambda name: models)
    training = TrainingConfig(classifier="photographs")
    choice = choose_score(training, DataConfig(root=faces))
    assert "how many translations the classifier photographs assigns to their target domain" in choice.description
    rename(faces, "neutral", "leaves")
    with pytest.raises(UserError, match="photographs cannot score the domain 'leaves': its classes are happy, neutral"):
        choose_score(training, DataConfig(root=faces))


def rename(root: Path, old: str, new: str) -> None:
    for split in ("train", "test"):
        (root / split / old).rename(root / split / new)


# --- the sliced Wasserstein distance --------------------------------------------------------------


def shapes(count: int, seed: int, side: int = 32) -> np.ndarray:
    """Images of a few bright rectangles each, with some noise."""
    random = np.random.default_rng(seed)
    images = random.integers(60, 100, (count, side, side, 3))
    for image in images:
        for top, left, height, width in random.integers(2, side // 2, (4, 4)):
            image[top : top + height, left : left + width] = random.integers(0, 255, 3)
    return images.astype(np.uint8)


def blurred(images: np.ndarray, times: int) -> np.ndarray:
    values = images.astype(float)
    for _ in range(times):
        values = np.mean([np.roll(values, shift, axis) for axis in (1, 2) for shift in (-1, 1)], axis=0)
    return values.round().astype(np.uint8)


def test_the_sliced_wasserstein_distance_of_a_set_to_itself_is_zero_and_small_within_a_distribution():
    images = shapes(64, seed=0)
    distance = SlicedWasserstein(images)
    assert distance(images) == 0
    within = distance(shapes(64, seed=1))
    assert 0 < within < distance(blurred(images, 1))
    assert within < distance(np.clip(images + 60, 0, 255).astype(np.uint8))
    assert within < distance(images[..., ::-1] // 2)


def test_the_sliced_wasserstein_distance_is_deterministic_and_grows_with_the_distortion():
    images, other = shapes(16, seed=0), shapes(16, seed=1)
    torch.manual_seed(1)
    first = SlicedWasserstein(images)(other)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        assert SlicedWasserstein(images)(other) == first
    dark = images // 2
    distance = SlicedWasserstein(dark)
    blurs = [distance(blurred(dark, times)) for times in (0, 1, 2, 4)]
    shifts = [distance((dark + np.array([shift, 0, 0])).astype(np.uint8)) for shift in (0, 40, 80)]
    for distances in (blurs, shifts):
        assert distances == sorted(set(distances))


def test_the_sliced_wasserstein_distance_of_flat_images_by_hand():
    # Every patch of a flat image is a constant c, and so is every projection: c times the sum of a direction. The
    # finer level is 0 everywhere; the coarser one is normalised by mean 0 and std 1 of patches of -1 and 1.
    images = np.concatenate([np.zeros((4, 32, 32, 3), np.uint8), np.full((4, 32, 32, 3), 255, np.uint8)])
    other = np.full((8, 32, 32, 3), 255, np.uint8)
    directions = torch.randn(512, 147, generator=torch.Generator().manual_seed(1))
    sums = torch.nn.functional.normalize(directions, dim=1).sum(1).abs().mean()
    # The lower half of the sorted projections moves from -c to c, and the upper half stays.
    assert SlicedWasserstein(images)(other) == pytest.approx(1000 * float(sums) / 2, rel=1e-3)


@pytest.mark.parametrize("side", [8, 16, 50, 97])
def test_images_of_any_size_have_a_sliced_wasserstein_distance(side):
    images = np.random.default_rng(0).integers(0, 255, (3, side, side, 3), np.uint8)
    distance = SlicedWasserstein(images)
    assert distance(images) == 0
    assert distance(images // 2) > 0
    with pytest.raises(ValueError, match="2 images cannot be compared with 3"):
        distance(images[:2])


def test_a_training_in_bf16_can_be_scored():
    images = np.zeros((2, 64, 64, 3), np.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.isfinite(load_expression_classifier().features(images)).all()
