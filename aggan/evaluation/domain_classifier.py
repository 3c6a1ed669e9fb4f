"""A classifier of the user's own domains: trained from folders of images, measured on others, kept in a folder.

model.safetensors    the weights, at half precision
config.json          `ClassifierCard`: what loading needs, and how accurate the classifier is
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from aggan.data.cache import DecodedDomain
from aggan.errors import UserError
from aggan.evaluation.classifier_training import add_noise, blur, fit, recolour, warp
from aggan.evaluation.classifiers import (
    EvaluationModels,
    Features,
    ImageClassifier,
    Images,
    load_weights,
    save_weights,
)
from aggan.images.convert import Pixels, to_tensor
from aggan.io import printable, read_json, write_text_atomic
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.stats import wilson_interval
from aggan.types import Image

FORMAT: Literal["aggan-classifier"] = "aggan-classifier"
VERSION = 1
MIN_IMAGES = 10
"""Fewer training images of a class teach next to nothing."""
MIN_TEST_IMAGES = 2
"""Drawn from each domain without test images, at least."""
POOR = 0.9
"""A classifier that is right less often on the test images of a class says little about translations to it."""
BATCH_SIZE = 32
SHIFT = 0.1
"""Largest shift of a training image, in sides."""


class Training(NamedTuple):
    """How a classifier is trained."""

    size: int = 128
    """Side of its images in pixels."""
    steps: int = 600
    """Each with `BATCH_SIZE` images."""
    flip: bool = True
    recolour: bool = False
    seed: int = 0


class ClassifierCard(BaseModel):
    """The content of `config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["aggan-classifier"] = FORMAT
    version: Literal[1] = VERSION
    classes: tuple[str, ...] = Field(min_length=2)
    size: int = Field(ge=16, description="Side of its images in pixels.")
    mirrored: bool = Field(description="Whether mirror images are of the same class.")
    recoloured: bool = Field(description="Whether training images were recoloured.")
    steps: int = Field(description="Steps of training.")
    seed: int
    training_images: tuple[int, ...] = Field(description="Number of each class.")
    test_images: str = Field(description="Where the images come from on which it was measured.")
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="Number of test images: a row for each true class, a column for each prediction."
    )
    accuracy: float = Field(description="Share of all test images whose class is predicted.")
    interval: tuple[float, float] = Field(description="Its 95 % interval (Wilson, 1927).")

    def rows(self) -> list[tuple[str, int, int]]:
        """Each class with the number of its test images that are recognised, and the number of all of them."""
        confusion = zip(self.classes, self.confusion, strict=True)
        return [(name, row[index], sum(row)) for index, (name, row) in enumerate(confusion)]

    def warning(self) -> str | None:
        """One sentence about the class that is recognised least, if that is too rarely."""
        name, right, count = min(self.rows(), key=lambda row: row[1] / row[2])
        if right >= POOR * count:
            return None
        return (
            f"it recognises only {right / count:.0%} of the test images of {name}: what it says about translations "
            "means little; more images, more --steps or another --size may help"
        )

    def describe(self) -> str:
        """The accuracy in one line."""
        low, high = self.interval
        count = sum(map(sum, self.confusion))
        line = f"right on {self.accuracy:.1%} of {count} test images (95 % interval {low:.1%} to {high:.1%})"
        warning = self.warning()
        return f"{line}; {warning}" if warning else line


class ClassImages(NamedTuple):
    """The images of one class."""

    name: str
    training: Images
    test: Images


def split(
    training: Sequence[DecodedDomain], test: Sequence[DecodedDomain], share: float, seed: int
) -> tuple[list[ClassImages], int]:
    """The images to learn from and those to be measured on, and how many test images were left out as copies.

    Without test images, a `share` of each domain is drawn. Test images that equal a training image are left out. Raises
    `UserError` if a class has too few images.
    """
    if test:
        classes = [
            ClassImages(domain.name, domain.pixels, other.pixels) for domain, other in zip(training, test, strict=True)
        ]
    else:
        classes = [_draw_test_images(domain, share, (seed, index)) for index, domain in enumerate(training)]
    for kind, domain in zip(classes, training, strict=True):
        if len(kind.training) < MIN_IMAGES:
            raise UserError(
                f"{domain.folder}: a classifier needs at least {MIN_IMAGES} images of {kind.name} to learn from, "
                f"and here are {len(kind.training)}: add images, or leave this domain out with --names"
            )
    known = {_digest(image) for kind in classes for image in kind.training}
    unseen = [kind._replace(test=_without(kind.test, known)) for kind in classes]
    for kind in unseen:
        if not len(kind.test):
            raise UserError(f"every test image of {kind.name} is also a training image: choose others to measure it on")
    return unseen, sum(len(kind.test) for kind in classes) - sum(len(kind.test) for kind in unseen)


def _draw_test_images(domain: DecodedDomain, share: float, seed: tuple[int, int]) -> ClassImages:
    order = np.random.default_rng(seed).permutation(len(domain))
    count = max(MIN_TEST_IMAGES, round(share * len(domain)))
    test, training = np.sort(order[:count]), np.sort(order[count:])
    return ClassImages(domain.name, domain.pixels[training], domain.pixels[test])


def _without(images: Images, known: set[bytes]) -> UInt8[np.ndarray, "m h w 3"]:
    return images[[_digest(image) not in known for image in images]]


def _digest(image: Pixels) -> bytes:
    return hashlib.sha256(image.tobytes()).digest()


def train_classifier(
    classes: Sequence[ClassImages],
    training: Training,
    test_images: str,
    on_step: Callable[[int, int], object] | None = None,
) -> tuple[ImageClassifier, ClassifierCard]:
    """Train a classifier at `training.size` px, with all classes drawn equally often, and measure it.

    `test_images` says where the test images come from. `on_step` gets the steps done, and how many there are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = ImageClassifier(tuple(kind.name for kind in classes), training.size, training.flip)
        fit(network, lambda: _draw(classes, training), training.steps, on_step)
    network.half().float()  # it is measured as it is saved
    confusion = tuple(_count(network, kind.test) for kind in classes)
    right, count = sum(row[index] for index, row in enumerate(confusion)), sum(map(sum, confusion))
    return network, ClassifierCard(
        classes=network.classes,
        size=training.size,
        mirrored=training.flip,
        recoloured=training.recolour,
        steps=training.steps,
        seed=training.seed,
        training_images=tuple(len(kind.training) for kind in classes),
        test_images=test_images,
        confusion=confusion,
        accuracy=right / count,
        interval=wilson_interval(right, count),
    )


def _draw(classes: Sequence[ClassImages], training: Training) -> tuple[Image, Int[Tensor, " n"]]:
    """A batch of augmented images and their classes."""
    labels = torch.randint(len(classes), (BATCH_SIZE,))
    shares = torch.rand(BATCH_SIZE).tolist()
    images = [
        classes[label].training[int(share * len(classes[label].training))]
        for label, share in zip(labels.tolist(), shares, strict=True)
    ]
    batch = blur(warp(to_tensor(np.stack(images)), SHIFT, mirror=training.flip))
    return add_noise(recolour(batch) if training.recolour else batch), labels


def _count(network: ImageClassifier, images: Images) -> tuple[int, ...]:
    """How many of the images are assigned to each class."""
    return tuple(np.bincount(network.predict(images), minlength=len(network.classes)).tolist())


def save_classifier(folder: Path, network: ImageClassifier, card: ClassifierCard) -> None:
    """Write both files, the card last."""
    save_weights(network, folder / WEIGHTS)
    write_text_atomic(folder / CONFIG, card.model_dump_json(indent=2) + "\n")


def load_domain_models(path: Path) -> EvaluationModels:
    """The classifier in a folder, and its features. `path` is the folder or one of the two files in it.

    Raises `UserError` if it is no classifier.
    """
    folder = path.parent if path.is_file() else path
    card = read_card(folder / CONFIG)
    network, weights = ImageClassifier(card.classes, card.size, card.mirrored), folder / WEIGHTS
    try:
        load_weights(network, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise UserError(f"{folder}: {WEIGHTS} is missing beside {CONFIG}") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{weights}: not the weights that {CONFIG} describes; train the classifier again") from error
    name = printable(folder.resolve().name)
    return EvaluationModels(
        str(path), network, features=Features(name, network.features, digest), accuracy=card.describe()
    )


def read_card(file: Path) -> ClassifierCard:
    """Read the `config.json` of a classifier. Raises `UserError` if it is of anything else."""
    if not file.is_file():
        raise UserError(f"{file.parent}: not a classifier, as it has no {CONFIG}: aggan classifier train makes one")
    content = read_json(file)
    if content.get("format") != FORMAT:
        raise UserError(f"{file.parent}: not a classifier, but of another kind: aggan classifier train makes one")
    try:
        return ClassifierCard.model_validate(read_json(file, VERSION))
    except ValidationError as error:
        raise UserError(f"{file}: not the config of a classifier: {error.errors()[0]['msg']}") from error
