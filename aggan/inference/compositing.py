"""What a model says of a picture, at the picture's own size, and how it is painted into it (Eq. 1)."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.types import Image, Translation

UNTOUCHED = 1 / 255
"""Pixels whose mask is not larger keep their exact value."""
_BAND = 2**15
"""So many pixels are painted at a time: they stay in the processor's cache."""
ALL = slice(None)
"""Of `Said.rows`: the whole picture."""


class NothingSeen(Exception):
    """There is nothing in a picture that a model could translate; the message says what was missing."""


class Layers(NamedTuple):
    """Mask and content of one picture."""

    mask: Float[Tensor, "1 1 h w"]
    """0 keeps the input's pixel, 1 replaces it."""
    content: Float[Tensor, "1 3 h w"]
    """In [-1, 1]."""

    def rows(self, band: slice) -> "Layers":
        """Some rows of both."""
        return Layers(self.mask[..., band, :], self.content[..., band, :])


@runtime_checkable
class Said(Protocol):
    """What a model says of one picture: layers that are there, or are made when they are asked for."""

    def rows(self, band: slice) -> Layers:
        """Some rows of both."""
        ...


@runtime_checkable
class Backend(Protocol):
    """Whatever translates pictures to one domain: a system in torch, or an exported file."""

    @property
    def size(self) -> int:
        """Side of the pictures that it was trained on."""
        ...

    @property
    def square(self) -> bool:
        """Whether it takes squares of that size only; otherwise sides are any multiples of 4 from 8 on."""
        ...

    def __call__(self, images: Image) -> Translation:
        """Translations of pictures (n, 3, height, width) in [-1, 1]."""
        ...


View = Callable[[Float[Tensor, "1 3 h w"], Backend], Said]
"""How a model looks at a picture of any size."""


def paint(pixels: np.ndarray, said: Said, strength: float = 1.0) -> np.ndarray:
    """`x + strength * M * (C - x)`, or exactly x where strength * M is not above 1/255.

    `pixels` are (height, width, 3) in uint8 or uint16, and the result is of the same kind.
    """
    given = torch.from_numpy(np.ascontiguousarray(pixels))
    made = torch.empty_like(given)
    half = np.iinfo(pixels.dtype).max / 2
    rows = max(1, _BAND // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        band = slice(top, top + rows)
        mask, content = said.rows(band)
        mask = F.threshold(mask * strength, UNTOUCHED, 0.0)
        source = given[band].movedim(-1, 0)[None].contiguous().float().div_(half).sub_(1)
        fused = torch.lerp(source, content, mask).clamp_(-1, 1).add_(1).mul_(half).round_().to(made.dtype)
        torch.stack(fused[0].unbind(), dim=-1, out=made[band])
    return made.numpy()
