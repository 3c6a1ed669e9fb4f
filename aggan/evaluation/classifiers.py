"""Two small judges of faces: which expression is it, and who? `judge/README.md` holds how good they are.

Both were trained on rendered people that no translation system sees, by `aggan.evaluation.train_classifiers`.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.data.expressions import EXPRESSIONS
from aggan.images.convert import to_tensor
from aggan.types import Image

FOLDER = Path(__file__).parent / "judge"
SIZE = 64
WIDTHS = (3, 32, 64, 128, 128)
IDENTITY = 64
"""Numbers that say who somebody is."""
Network = TypeVar("Network", bound=nn.Module)


class SaysExpression(Protocol):
    """A judge of expressions."""

    @property
    def knows(self) -> tuple[str, ...]:
        """Those of `EXPRESSIONS` that it can say."""
        ...

    def says(self, pictures: np.ndarray) -> np.ndarray:
        """The expression seen in each picture (n, height, width, 3), as an index of `EXPRESSIONS`."""
        ...


class SaysWho(Protocol):
    """A judge of identities."""

    def identities(self, pictures: np.ndarray) -> np.ndarray:
        """Vectors of length 1 that are alike for pictures (n, height, width, 3) of one person."""
        ...


class Features(NamedTuple):
    """What distances between sets of pictures are measured on."""

    name: str
    of: Callable[[np.ndarray], np.ndarray]
    """Features (n, d) of pictures (n, height, width, 3)."""
    sha256: str = ""
    """Of the file that the weights came from, if they did not ship."""


class Distance(Protocol):
    """Says how different two pictures look; its weights came from a file."""

    sha256: str

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """One number (n,) a pair of pictures (n, height, width, 3)."""
        ...


class Judges(NamedTuple):
    """Who judges."""

    expression: SaysExpression
    identity: SaysWho
    features: Features | None = None
    """Without them, sets of pictures are not compared."""
    perceptual: Distance | None = None


class Tower(nn.Module):
    """Convolutions in pairs, the first of each halving the picture, averaged to 128 features."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(part for pair in pairwise(WIDTHS) for part in _halving(*pair)))

    def forward(self, image: Image) -> Float[Tensor, "n features"]:
        """Pictures of another size are resized to 64 px."""
        if image.shape[-2:] != (SIZE, SIZE):
            image = F.interpolate(image, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(-1, 1)
        return self.layers(image).mean((2, 3))


def _halving(before: int, filters: int) -> list[nn.Module]:
    return [*_layer(before, filters, stride=2), *_layer(filters, filters, stride=1)]


def _layer(before: int, filters: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]


class Judge(nn.Module):
    """Says which of the eight expressions a face shows."""

    knows = EXPRESSIONS

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()
        self.head = nn.Linear(WIDTHS[-1], len(EXPRESSIONS))

    def forward(self, image: Image) -> Float[Tensor, "n expressions"]:
        """Logits in the order of `EXPRESSIONS`."""
        return self.head(self.tower(image))

    def says(self, pictures: np.ndarray) -> np.ndarray:
        """The expression seen in each picture (n, height, width, 3), as an index of `EXPRESSIONS`."""
        mirrored = pictures[:, :, ::-1]
        return (_of_each(self, pictures) + _of_each(self, mirrored)).argmax(1)

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """What the Frechet distance compares: features (n, 128) of pictures (n, height, width, 3)."""
        return _of_each(self.tower, pictures).astype(np.float64)


class IdentityJudge(nn.Module):
    """Says who somebody is: pictures of one person have a large cosine similarity."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()
        self.head = nn.Linear(WIDTHS[-1], IDENTITY)

    def forward(self, image: Image) -> Float[Tensor, "n identity"]:
        """Vectors of length 1."""
        return F.normalize(self.head(self.tower(image)))

    def identities(self, pictures: np.ndarray) -> np.ndarray:
        """Who is in each picture (n, height, width, 3), as vectors of length 1, (n, 64)."""
        return _of_each(self, pictures)


def load_judge() -> Judge:
    """The judge of expressions that ships."""
    return _loaded(Judge(), "expression")


def load_judges() -> Judges:
    """Both judges that ship, and the features of the first."""
    judge = load_judge()
    return Judges(judge, _loaded(IdentityJudge(), "identity"), Features("judge", judge.features))


def _loaded(judge: Network, name: str) -> Network:
    judge.load_state_dict({key: value.float() for key, value in load_file(FOLDER / f"{name}.safetensors").items()})
    return judge.eval()


@torch.inference_mode()
def _of_each(network: nn.Module, pictures: np.ndarray) -> np.ndarray:
    return np.concatenate([network(to_tensor(some)).numpy() for some in in_batches(pictures)])


def in_batches(pictures: np.ndarray, size: int = 32) -> list[np.ndarray]:
    """Consecutive parts of at most `size` pictures."""
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]
