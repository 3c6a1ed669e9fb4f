"""A classifier of one's own domains: training it, its accuracy, and what uses it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import error_line
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.comparison.runner import Direction
from aggan.data.cache import DecodedDomain
from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.evaluation.classifier_choice import absolute, load_models
from aggan.evaluation.classifier_training import fit, warp
from aggan.evaluation.classifiers import ImageClassifier, Tower
from aggan.evaluation.domain_classifier import ClassifierCard, read_card, split
from aggan.evaluation.model_selection import choose_score
from aggan.images.convert import to_tensor
from aggan.training.config import TrainingConfig

QUICK = ("--size", "16", "--steps", "40")


def draw(folder: Path, count: int, horizontal: bool, seed: int = 0) -> None:
    """Noisy stripes of any colour in one direction."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng((seed, horizontal))
    for number in range(count):
        colours = random.integers(40, 220, (2, 3))
        stripes = colours[np.arange(20) // 3 % 2][:, None]  # (20, 1, 3)
        image = stripes + random.integers(-20, 20, (20, 20, 3))
        image = image if horizontal else image.swapaxes(0, 1)
        Pillow.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")


@pytest.fixture
def stripes(tmp_path) -> Path:
    """24 images of two domains, without test images."""
    root = tmp_path / "stripes"
    draw(root / "neutral", 24, horizontal=False)
    draw(root / "happy", 24, horizontal=True)
    return root


def train(*arguments: object) -> int:
    return run(["classifier", "train", *map(str, arguments)])


@pytest.fixture
def classifier(stripes, tmp_path) -> Path:
    assert train(stripes, "--out", tmp_path / "classifier", *QUICK) == 0
    return tmp_path / "classifier"


# --- training -------------------------------------------------------------------------------------


def test_it_is_measured_on_images_that_are_kept_from_the_training(capsys, classifier):
    card = read_card(classifier / "config.json")
    assert (card.classes, card.size, card.steps, card.training_images) == (("happy", "neutral"), 16, 40, (19, 19))
    assert [sum(row) for row in card.confusion] == [5, 5]
    assert card.accuracy == sum(card.confusion[k][k] for k in (0, 1)) / 10 >= 0.9
    assert card.interval[0] < card.accuracy <= card.interval[1]
    output = capsys.readouterr().out
    assert "24 happy, 24 neutral in " in output
    assert "test images: 20% of each domain, by seed 0" in output
    assert f"--classifier {classifier}" in output
    assert f"{card.accuracy:.1%}" in output


def test_its_test_images_are_those_of_the_data_set_if_there_are_any(tmp_path):
    for split_name, count in (("train", 12), ("test", 3)):
        for horizontal in (False, True):
            draw(tmp_path / "data" / split_name / f"{horizontal}", count, horizontal, count)
    assert train(tmp_path / "data", "--out", tmp_path / "out", *QUICK) == 0
    card = read_card(tmp_path / "out" / "config.json")
    assert (card.training_images, [sum(row) for row in card.confusion]) == ((12, 12), [3, 3])
    assert card.test_images == "the test images"


def test_two_folders_and_many_domains(stripes, tmp_path):
    both = stripes / "neutral", stripes / "happy"
    assert train(*both, "--names", "a", "b", "--out", tmp_path / "two", *QUICK) == 0
    assert read_card(tmp_path / "two" / "config.json").classes == ("a", "b")
    draw(stripes / "bright", 12, horizontal=True, seed=5)
    assert train(stripes, "--out", tmp_path / "three", *QUICK) == 0
    assert read_card(tmp_path / "three" / "config.json").classes == ("bright", "happy", "neutral")


def test_a_rare_domain_is_recognised_too(tmp_path):
    draw(tmp_path / "data" / "often", 150, horizontal=False)
    draw(tmp_path / "data" / "rare", 14, horizontal=True)
    assert train(tmp_path / "data", "--out", tmp_path / "out", *QUICK) == 0
    card = read_card(tmp_path / "out" / "config.json")
    assert card.training_images == (120, 11)
    assert card.confusion[1] == (0, 3)


def test_the_same_seed_gives_the_same_classifier(stripes, classifier, tmp_path):
    before = torch.random.get_rng_state()
    for name, seed in (("again", 0), ("other", 1)):
        assert train(stripes, "--out", tmp_path / name, *QUICK, "--seed", seed) == 0
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("classifier", "again", "other")]
    assert weights[0] == weights[1] != weights[2]
    assert (tmp_path / "again" / "config.json").read_bytes() == (classifier / "config.json").read_bytes()


def test_an_interrupt_leaves_nothing(stripes, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aggan.evaluation.domain_classifier.fit", interrupted)
    assert train(stripes, "--out", tmp_path / "out", *QUICK) == 130
    assert not (tmp_path / "out").exists()


def test_a_poor_classifier_is_called_poor_wherever_it_is_used(tmp_path, model, capsys):
    for seed, name in enumerate(("neutral", "happy")):  # of one distribution
        draw(tmp_path / "data" / name, 20, horizontal=True, seed=seed)
    out, folder = tmp_path / "out", tmp_path / "data" / "neutral"
    assert train(tmp_path / "data", "--out", out, "--size", "16", "--steps", "3") == 0
    lines = capsys.readouterr().out.replace("\n", " ")
    assert lines.count("what it says about translations means little") == 1
    assert "WARNING it recognises only " in lines
    arguments = ["evaluate", model, "--inputs", folder, "--to", "happy", "--classifier", out, "--out", out / "r.json"]
    assert run([str(argument) for argument in arguments]) == 0
    lines = capsys.readouterr().out
    assert f"Classifier: {out}, right on " in lines
    assert "means little" in lines


def test_copies_of_training_images_are_no_test_images(tmp_path, capsys):
    for horizontal in (False, True):
        draw(tmp_path / "data" / "train" / f"{horizontal}", 12, horizontal)
        draw(tmp_path / "data" / "test" / f"{horizontal}", 14, horizontal)  # twelve of which are the same
    assert train(tmp_path / "data", "--out", tmp_path / "out", *QUICK) == 0
    assert "WARNING left out 24 test images: each equals a training image" in capsys.readouterr().out
    assert [sum(row) for row in read_card(tmp_path / "out" / "config.json").confusion] == [2, 2]
    for file in (tmp_path / "data" / "test" / "True").glob("01[23].png"):
        file.unlink()
    assert train(tmp_path / "data", "--out", tmp_path / "again", *QUICK) == 2
    assert "every test image of True is also a training image" in error_line(capsys, 2)


def few(root: Path, tmp_path: Path) -> list[object]:
    for file in sorted((root / "happy").iterdir())[11:]:
        file.unlink()
    return [root]


MISTAKES = {
    "one domain": (lambda root, _: [root, "--names", "happy"], "two folders or more are needed, one per domain"),
    "no folder": (lambda root, _: [root / "none"], "none: no such folder"),
    "no images": (
        lambda root, tmp: [(tmp / "empty").mkdir() or root / "happy", tmp / "empty"],
        "empty: no images here",
    ),
    "few images": (few, "happy: a classifier needs at least 10 images of happy to learn from, and here are 9"),
    "three folders": (lambda root, _: [root] * 3, "give one folder with all domains in it, or two folders"),
    "inside the images": (lambda root, _: [root, "--out", root / "happy" / "c"], "lies inside the training images"),
    "size": (lambda root, _: [root, "--size", 8], "--size 8: must be 16 to 512"),
    "steps": (lambda root, _: [root, "--steps", 0], "--steps 0: must be 1 or more"),
    "share": (lambda root, _: [root, "--test-share", 0.9], "--test-share 0.9: must be 0.05 to 0.5"),
    "seed": (lambda root, _: [root, "--seed", -1], "--seed -1: must be 0 or more"),
    "bits": (lambda root, _: [root, "--bits", 4], "--bits 4: must be 8 to 16"),
    "not empty": (lambda root, _: [root, "--out", root.parent], "is not empty: choose a new folder"),
}


@pytest.mark.parametrize(("arguments", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_sentence(stripes, tmp_path, capsys, arguments, expected):
    command = arguments(stripes, tmp_path)
    out = tmp_path / "out"
    code = train(*command, *(() if "--out" in command else ("--out", out)))
    assert expected in error_line(capsys, code)
    assert not out.exists()


def test_an_unknown_action_is_one_sentence(capsys):
    assert "no action 'use'; there is train" in error_line(capsys, run(["classifier", "use"]))


def test_test_images_are_drawn_from_each_domain_by_the_seed():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    domain = DecodedDomain("a", tuple(Path(f"{k}.png") for k in range(20)), pixels)
    (first,), copies = split([domain], [], 0.25, seed=0)
    assert (len(first.training), len(first.test), copies) == (15, 5, 0)
    together = np.concatenate([first.training, first.test])
    assert {image.tobytes() for image in together} == {image.tobytes() for image in pixels}
    (other,), _ = split([domain], [], 0.25, seed=1)
    assert not np.array_equal(first.test, other.test)


# --- the accuracy ---------------------------------------------------------------------------------


def card_of(confusion: tuple[tuple[int, ...], ...]) -> ClassifierCard:
    settings = {"size": 16, "mirrored": True, "recoloured": False, "steps": 1, "seed": 0, "test_images": "drawn"}
    return ClassifierCard(
        classes=("healthy", "scab"), training_images=(9, 9), confusion=confusion, accuracy=0.9, interval=(0.8, 0.95),
        **settings,
    )  # fmt: skip


def test_a_classifier_is_poor_if_one_of_its_classes_is():
    assert card_of(((90, 10), (0, 5))).warning() is None
    poor = card_of(((100, 0), (2, 8)))
    assert str(poor.warning()).startswith("it recognises only 80% of the test images of scab: ")
    assert poor.describe().startswith("right on 90.0% of 110 test images (95 % interval 80.0% to 95.0%); it recognises")


# --- what uses it ---------------------------------------------------------------------------------


def test_evaluation_classifies_with_it_and_compares_its_features(classifier, stripes, model, tmp_path, capsys):
    results = tmp_path / "results.json"
    folders = ["--inputs", stripes / "neutral", "--real", stripes / "happy"]
    for path in (classifier, classifier / "config.json", classifier / "model.safetensors"):
        capsys.readouterr()
        arguments = ["evaluate", model, *folders, "--to", "happy", "--classifier", path, "--out", results]
        assert run([str(argument) for argument in arguments]) == 0
        content = json.loads(results.read_text())
        assert (content["classifier"], content["features"]["name"]) == (str(path), "classifier")
        assert content["rows"]["identity_baseline"]["classified"] <= 0.1  # they are of the domain neutral
        assert content["rows"]["translation"]["kernel_distance"] is not None
        assert "identity" not in content["rows"]["translation"]
        assert f"Classifier: {path}, right on " in capsys.readouterr().out


def test_a_classifier_of_larger_images_than_the_model_is_mentioned(stripes, model, tmp_path, capsys):
    assert train(stripes, "--out", tmp_path / "large", "--size", "64", "--steps", "1") == 0
    arguments = ["evaluate", model, "--inputs", stripes / "happy", "--to", "happy", "--classifier", tmp_path / "large"]
    assert run([str(argument) for argument in (*arguments, "--out", tmp_path / "results.json")]) == 0
    assert "large was measured at 64 px, and the model works at 32: " in capsys.readouterr().err


def test_it_chooses_the_best_model_of_a_training(classifier, stripes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (absolute("photographs"), absolute("classifier")) == ("photographs", str(classifier))
    training = TrainingConfig(classifier="classifier")
    choice = choose_score(training, DataConfig(root=stripes))
    assert "Frechet distance on features of the classifier classifier, right on " in choice.description
    assert choice.scorer is not None
    (stripes / "happy").rename(stripes / "sad")
    with pytest.raises(UserError, match="cannot score the domain 'sad': its classes are happy, neutral"):
        choose_score(training, DataConfig(root=stripes))


def test_a_comparison_notices_that_the_classifier_has_changed(classifier, stripes):
    folders = stripes / "neutral", stripes / "happy"
    files = Direction(*folders, "neutral", "happy", classifier=str(classifier)).files
    assert {classifier / "config.json", classifier / "model.safetensors"} <= set(files)
    assert len(Direction(*folders, "neutral", "happy", classifier="rendered-faces").files) == len(files) - 2


def damaged(classifier: Path, name: str, content: bytes) -> Path:
    (classifier / name).write_bytes(content)
    return classifier


def changed(classifier: Path, **settings: object) -> Path:
    file = classifier / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return classifier


NOT_CLASSIFIERS = {
    "a model": (lambda _, model: model, "not a classifier, but of another kind"),
    "any folder": (lambda folder, _: folder.parent, "not a classifier, as it has no config.json"),
    "any file": (lambda folder, _: folder.parent / "stripes" / "happy" / "000.png", "not a classifier, as it has no"),
    "nothing": (lambda folder, _: folder / "more", "name rendered-faces, photographs, none, a file"),
    "no JSON": (lambda folder, _: damaged(folder, "config.json", b"{"), "config.json: damaged"),
    "no weights": (lambda folder, _: damaged(folder, "model.safetensors", b"none"), "not the weights that config.json"),
    "other weights": (lambda folder, _: changed(folder, size=32), "not the weights that config.json describes"),
    "a newer one": (lambda folder, _: changed(folder, version=2), "written by a newer aggan (version 2)"),
    "one class": (lambda folder, _: changed(folder, classes=["happy"]), "not the config of a classifier: "),
}


@pytest.mark.parametrize(("path", "expected"), NOT_CLASSIFIERS.values(), ids=NOT_CLASSIFIERS.keys())
def test_what_is_no_classifier_is_one_sentence(classifier, model, capsys, path, expected):
    capsys.readouterr()
    options = ["--inputs", classifier, "--to", "happy", "--classifier", path(classifier, model)]
    code = run([str(argument) for argument in ("evaluate", model, *options, "--out", classifier / "results.json")])
    assert expected in error_line(capsys, code)


def test_missing_weights_are_one_sentence(classifier):
    (classifier / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing beside config\.json"):
        load_models(str(classifier))


def test_a_classifier_is_no_model_to_translate_with(classifier, stripes, capsys):
    capsys.readouterr()
    code = run(["translate", str(classifier), str(stripes), "--to", "happy", "--out", str(classifier / "out")])
    assert "not the config of a model" in error_line(capsys, code)


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 64, 128, 500])
def test_a_tower_of_any_size_ends_with_128_features_of_a_small_grid(size):
    tower = Tower(size).eval()
    grid = tower.layers(torch.zeros(1, 3, size, size))
    assert grid.shape[1] == 128
    assert 3 <= grid.shape[2] <= 6
    assert tower(torch.zeros(2, 3, 20, 20)).shape == (2, 128)


def test_mirror_images_count_only_if_they_are_of_the_same_class():
    # The head knows nothing but the sign of a logit that depends on the left half alone.
    class LeftHalf(ImageClassifier):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            left = image[..., : image.shape[-1] // 2].mean((1, 2, 3)) - 0.1
            return torch.stack((-left, left), 1)

    image = np.zeros((1, 4, 4, 3), np.uint8)
    image[:, :, :2] = 255
    assert LeftHalf(("dark", "bright"), 16, mirrored=False).eval().predict(image) == [1]
    assert LeftHalf(("dark", "bright"), 16, mirrored=True).eval().predict(image) == [0]


def test_warped_images_are_shifted_and_mirrored_only_as_far_as_allowed():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), np.uint8)
    images = to_tensor(pixels)
    torch.testing.assert_close(warp(images, 0.0, mirror=False), images)
    mirrored = warp(images, 0.0)
    kept = [torch.allclose(a, b, atol=1e-4) for a, b in zip(mirrored, images, strict=True)]
    flipped = [torch.allclose(a, b.flip(2), atol=1e-4) for a, b in zip(mirrored, images, strict=True)]
    assert all(a != b for a, b in zip(kept, flipped, strict=True))
    assert 16 < sum(kept) < 48
    ramp = torch.arange(80.0).expand(64, 3, 80, 80) / 80
    moves = (warp(ramp, 0.1, mirror=False) - ramp)[:, 0, 40, 40]
    assert moves.abs().max() <= 0.1 + 1e-4
    assert moves.min() < -0.05 < 0.05 < moves.max()


def test_fitting_reports_every_step_and_lowers_the_loss():
    images, classes = (
        to_tensor(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)),
        torch.arange(8) % 2,
    )
    reported: list[tuple[int, int]] = []
    network = fit(
        ImageClassifier(("a", "b"), 16),
        lambda: (images, classes),
        30,
        lambda done, total: reported.append((done, total)),
    )
    assert reported == [(step, 30) for step in range(1, 31)]
    assert not network.training
    assert torch.equal(network(images).argmax(1), classes)
