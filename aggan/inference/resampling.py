"""Bicubic resampling, antialiased on the way down, as products with the blocks of two sparse matrices.

What `torch.nn.functional.interpolate` gives, but of any rows alone: what is made of a large picture can be made band by
band, while the band is in the processor's cache.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

_TOGETHER, _LONGEST = 64, 1024
"""About so many given pixels of a line are looked at together (more of them would count for some of the wanted ones
only), for at most so many wanted ones."""
_SHARPNESS = -0.5
"""The cubic's free parameter, as Keys (1981) chose it."""


def resize(image: Float[Tensor, "n c h w"], height: int, width: int) -> Float[Tensor, "n c h2 w2"]:
    """A copy of another size."""
    if image.shape[-2] < height:
        return resize_rows(resize_columns(image, width), height, slice(0, height))
    return resize_columns(resize_rows(image, height, slice(0, height)), width)


def resize_columns(image: Float[Tensor, "n c h w"], width: int) -> Float[Tensor, "n c h w2"]:
    """A copy of another width."""
    if image.shape[-1] == width:
        return image.clone()
    blocks = _blocks(image.shape[-1], width, range(width))
    return _joined([image[..., used] @ weights.T for used, weights in blocks], dim=-1)


def resize_rows(image: Float[Tensor, "n c h w"], height: int, wanted: slice) -> Float[Tensor, "n c h2 w"]:
    """Some rows of a copy of another height."""
    if image.shape[-2] == height:
        return image[..., wanted, :].clone()
    blocks = _blocks(image.shape[-2], height, range(height)[wanted])
    return _joined([weights @ image[..., used, :] for used, weights in blocks], dim=-2)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _blocks(given: int, length: int, wanted: range) -> Iterator[tuple[slice, Float[Tensor, "wanted used"]]]:
    """Of some pixels of a line of another length, a few at a time: which of the given ones count, and how much."""
    together = max(1, min(_TOGETHER * length // given, _LONGEST))
    for start in range(wanted.start, wanted.stop, together):
        yield _weights(given, length, start, min(start + together, wanted.stop))


@lru_cache(maxsize=1024)
def _weights(given: int, length: int, start: int, stop: int) -> tuple[slice, Float[Tensor, "wanted used"]]:
    scale = given / length
    reach = 2 * max(scale, 1)
    used = range(max(0, math.floor((start + 0.5) * scale - reach)), min(given, math.ceil((stop - 0.5) * scale + reach)))
    centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(used.start, used.stop, dtype=torch.float64) + 0.5 - centres[:, None]).abs() / max(scale, 1)
    near = ((_SHARPNESS + 2) * distance - (_SHARPNESS + 3)) * distance**2 + 1
    far = _SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return slice(used.start, used.stop), (weights / weights.sum(dim=1, keepdim=True)).float()
