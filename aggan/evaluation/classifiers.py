"""The networks that metrics need: their interfaces, a small classifier, and two networks for rendered faces that ship.

    n, h, w    images, height and width in pixels
    d          length of a feature or identity vector

The classifier of expressions and the identity encoder were trained on rendered people that no translation method sees,
by `aggan.evaluation.train_classifiers`. `classifier_weights/README.md` says how accurate they are.
`aggan.evaluation.domain_classifier` trains the same classifier for other domains.
"""

from collections.abc import Callable
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.data.expressions import EXPRESSIONS
from aggan.images.convert import to_tensor
from aggan.io import write_atomic
from aggan.types import Image

WEIGHTS_FOLDER = Path(__file__).parent / "classifier_weights"
SIZE = 64
FEATURES = 128
"""Length of a classifier's feature vectors."""
COARSEST, NARROWEST = 4, 8
"""Side of the last layer's output in pixels, about, and channels of the first one, at least."""
IDENTITY_LENGTH = 64
RENDERED_FACES = "rendered-faces"
"""Name of the networks that ship."""

Images = UInt8[np.ndarray, "n h w 3"]
Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class Classifier(Protocol):
    """Assigns images to classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    def predict(self, images: Images) -> Int[np.ndarray, " n"]:
        """The class of each image, as an index of `classes`."""
        ...


@runtime_checkable
class IdentityModel(Protocol):
    """Embeds faces so that images of one person are similar."""

    def embed(self, images: Images) -> Float[np.ndarray, "n d"]:
        """A vector of length 1 for each image."""
        ...


class Features(NamedTuple):
    """The network on whose features sets of images are compared."""

    name: str
    extract: Callable[[np.ndarray], np.ndarray]
    """Features (n, d) of images (n, h, w, 3)."""
    sha256: str = ""
    """Of the file of weights, unless they ship."""


@runtime_checkable
class PerceptualDistance(Protocol):
    """A learned distance of two images."""

    sha256: str
    """Of the file of weights."""

    def __call__(self, a: Images, b: Images) -> Float[np.ndarray, " n"]:
        """One distance for each pair of images."""
        ...


class EvaluationModels(NamedTuple):
    """The networks that metrics need. A metric is left out if its network is None."""

    name: str
    """Of the classifier and the identity model, as `--classifier` takes it."""
    classifier: Classifier | None = None
    identity: IdentityModel | None = None
    features: Features | None = None
    perceptual: PerceptualDistance | None = None
    accuracy: str = ""
    """How accurate the classifier is on images that it has not learned from, in words, if its file says so."""


class Tower(nn.Module):
    """Convolutions in pairs, the first of which halves the image, then the mean over all pixels: 128 features."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.Sequential(*(layer for widths in pairwise(_widths(size)) for layer in _halving_block(*widths)))

    def forward(self, image: Image) -> Float[Tensor, "n d"]:
        """Images of another size are resized."""
        if image.shape[-2:] != (self.size, self.size):
            image = F.interpolate(image, (self.size, self.size), mode="bicubic", antialias=True).clamp(-1, 1)
        return self.layers(image).mean((2, 3))


def _widths(size: int) -> tuple[int, ...]:
    """Channels of the image and of each block: twice the side has one block more, at half the channels of the next."""
    blocks = max(2, round(log2(size / COARSEST)))
    return (3, *(min(FEATURES, max(NARROWEST, FEATURES >> max(0, blocks - 2 - block))) for block in range(blocks)))


def _halving_block(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [*_layer(in_channels, out_channels, stride=2), *_layer(out_channels, out_channels, stride=1)]


def _layer(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


class ImageClassifier(nn.Module):
    """Classifies images at a size of its own."""

    def __init__(self, classes: tuple[str, ...], size: int = SIZE, mirrored: bool = True) -> None:
        """`mirrored` says whether the mirror image of an image is of its class."""
        super().__init__()
        self.classes, self.mirrored = classes, mirrored
        self.tower = Tower(size)
        self.head = nn.Linear(FEATURES, len(classes))

    def forward(self, image: Image) -> Float[Tensor, "n classes"]:
        """Logits in the order of `classes`."""
        return self.head(self.tower(image))

    def predict(self, images: Images) -> Int[np.ndarray, " n"]:
        """The class of each image as an index of `classes`, from its logits and those of its mirror image."""
        logits = _apply(self, images)
        if self.mirrored:
            logits = logits + _apply(self, images[:, :, ::-1])
        return logits.argmax(1)

    def features(self, images: Images) -> Float[np.ndarray, "n d"]:
        """The 128 features that the kernel and Frechet distances compare."""
        return _apply(self.tower, images).astype(np.float64)


class IdentityEncoder(nn.Module):
    """Embeds rendered faces: images of one person have a large cosine similarity."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()
        self.head = nn.Linear(FEATURES, IDENTITY_LENGTH)

    def forward(self, image: Image) -> Float[Tensor, "n d"]:
        """Vectors of length 1."""
        return F.normalize(self.head(self.tower(image)))

    def embed(self, images: Images) -> Float[np.ndarray, "n d"]:
        """A vector of 64 numbers and length 1 for each image."""
        return _apply(self, images)


def load_expression_classifier() -> ImageClassifier:
    """The classifier of the expressions of rendered faces."""
    return _load(ImageClassifier(EXPRESSIONS), "expression")


def load_rendered_face_models() -> EvaluationModels:
    """The classifier, its features and the identity encoder for rendered faces."""
    classifier = load_expression_classifier()
    features = Features(RENDERED_FACES, classifier.features)
    return EvaluationModels(RENDERED_FACES, classifier, _load(IdentityEncoder(), "identity"), features)


def _load(network: Network, name: str) -> Network:
    return load_weights(network, WEIGHTS_FOLDER / f"{name}.safetensors")


def load_weights(network: Network, file: Path) -> Network:
    """The network with the weights of a file, to predict with. Raises what torch and safetensors raise."""
    network.load_state_dict({key: value.float() for key, value in load_file(file).items()})
    return network.eval()


def save_weights(network: nn.Module, file: Path) -> None:
    """Write the weights at half precision."""
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    write_atomic(file, lambda partial: partial.write_bytes(to_bytes(half)))


@torch.inference_mode()
def _apply(network: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.autocast("cpu", enabled=False):  # a training in bf16 scores inside its autocast
        return np.concatenate([network(to_tensor(batch)).numpy() for batch in batches(images)])


def batches(images: Images, size: int = 32) -> list[np.ndarray]:
    """Consecutive batches of at most `size` images."""
    return [images[start : start + size] for start in range(0, len(images), size)]
