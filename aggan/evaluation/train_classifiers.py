"""Training of the networks for rendered faces: `python -m aggan.evaluation.train_classifiers FACES`.

FACES is what `aggan data render classifiers --out FACES --size 64` wrote. Its test people are held out: the accuracies
on them are printed, for `classifier_weights/README.md`.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.data.expressions import EXPRESSIONS
from aggan.data.index import index_file, read_records
from aggan.evaluation.classifier_training import Network, add_noise, blur, fit, recolour, warp
from aggan.evaluation.classifiers import (
    IDENTITY_LENGTH,
    SIZE,
    WEIGHTS_FOLDER,
    IdentityEncoder,
    ImageClassifier,
    Images,
    save_weights,
)
from aggan.images.convert import read, square, to_tensor
from aggan.types import Image

EPOCHS, BATCH_SIZE = 50, 64
INVERSE_TEMPERATURE = 16.0
"""Factor of the cosine similarities in the softmax over people."""


class Faces(NamedTuple):
    """Images and what they show."""

    images: UInt8[np.ndarray, "n h w 3"]
    expression: Int[np.ndarray, " n"]
    """Indices of `EXPRESSIONS`."""
    person: Int[np.ndarray, " n"]
    visit: Int[np.ndarray, " n"]
    """A person's visits differ in hair, light, camera and background."""


class PersonClassifier(nn.Module):
    """The identity encoder with a direction for each person of the training set."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self.encoder = IdentityEncoder()
        self.directions = nn.Parameter(torch.randn(people, IDENTITY_LENGTH))

    def forward(self, image: Image) -> Float[Tensor, "n people"]:
        """Logits over the people."""
        return INVERSE_TEMPERATURE * self.encoder(image) @ F.normalize(self.directions).T


def main() -> None:
    """Train both networks, measure them on held-out people and write their weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    training_set, test_set = (read_faces(args.faces, split) for split in ("train", "test"))
    start = time.monotonic()
    people = int(training_set.person.max()) + 1
    classifier = train(ImageClassifier(EXPRESSIONS), training_set.images, training_set.expression)
    save_weights(classifier, WEIGHTS_FOLDER / "expression.safetensors")
    print(confusion(classifier.predict(test_set.images), test_set.expression), flush=True)
    encoder = train(PersonClassifier(people), training_set.images, training_set.person).encoder
    save_weights(encoder, WEIGHTS_FOLDER / "identity.safetensors")
    print(f"{len(training_set.images)} images of {people} people, {time.monotonic() - start:.0f} s")
    print(f"rank-1 between two visits: {rank_one_between_visits(encoder.embed(test_set.images), test_set):.1%}")


def read_faces(root: Path, split: str) -> Faces:
    """All images of a split, with people numbered from 0."""
    records = [record for record in read_records(index_file(root)) if record["split"] == split]
    images = np.stack([square(read(root / record["file"]), SIZE) for record in records])
    _, person = np.unique([record["person"] for record in records], return_inverse=True)
    expression = np.array([EXPRESSIONS.index(record["expression"]) for record in records])
    return Faces(images, expression, person, np.array([record["visit"] for record in records]))


def train(network: Network, images: Images, labels: Int[np.ndarray, " n"]) -> Network:
    """Train on augmented images, all of which are drawn equally often."""
    truth = torch.from_numpy(labels)

    def next_batch() -> tuple[Image, Tensor]:
        indices = torch.randint(len(images), (BATCH_SIZE,))
        return augment(to_tensor(images[indices.numpy()])), truth[indices]

    return fit(network, next_batch, EPOCHS * len(images) // BATCH_SIZE)


def confusion(predictions: Int[np.ndarray, " n"], truth: Int[np.ndarray, " n"]) -> str:
    """A table in Markdown: the true expressions in rows, the predictions in columns."""
    lines = ["| | " + " | ".join(EXPRESSIONS) + " |", "|---" * (len(EXPRESSIONS) + 1) + "|"]
    for index, name in enumerate(EXPRESSIONS):
        counts = np.bincount(predictions[truth == index], minlength=len(EXPRESSIONS))
        lines.append(f"| {name} | " + " | ".join(str(count) for count in counts) + " |")
    return "\n".join([*lines, f"accuracy {(predictions == truth).mean():.2%} of {len(truth)}"])


def rank_one_between_visits(vectors: Float[np.ndarray, "n d"], faces: Faces) -> float:
    """How often the most similar image of any other visit, with other hair and light, shows the same person."""
    similarity = np.where(faces.visit[:, None] == faces.visit[None], -np.inf, vectors @ vectors.T)
    return float((faces.person[similarity.argmax(1)] == faces.person).mean())


def augment(images: Image) -> Image:
    """Mirror, rotate, move, scale, blur and recolour images, and add noise: a translation may do so, too."""
    return add_noise(recolour(blur(warp(images, shift=0.05, angle=0.175, scale=0.15))))


if __name__ == "__main__":
    main()
