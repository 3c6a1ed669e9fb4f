"""Bicubic resampling, antialiased when shrinking, as products with blocks of two banded matrices.

The result is that of `torch.nn.functional.interpolate(mode="bicubic", antialias=True)`, but some rows can be computed
alone. A large image can then be processed in bands that stay in the CPU's cache.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

_BLOCK_INPUTS, _MAX_BLOCK_OUTPUTS = 64, 1024
"""A block reads about 64 input pixels of a line, and writes at most 1,024. In larger blocks most weights are 0."""
_A = -0.5
"""The free parameter of the cubic convolution kernel (Keys, 1981)."""


def resize(image: Float[Tensor, "n c h w"], height: int, width: int) -> Float[Tensor, "n c h2 w2"]:
    """Resize to (height, width)."""
    if image.shape[-2] < height:
        return resize_rows(resize_columns(image, width), height, slice(0, height))
    return resize_columns(resize_rows(image, height, slice(0, height)), width)


def resize_columns(image: Float[Tensor, "n c h w"], width: int) -> Float[Tensor, "n c h w2"]:
    """Resize to another width."""
    if image.shape[-1] == width:
        return image.clone()
    blocks = _blocks(image.shape[-1], width, range(width))
    return _concatenate([image[..., inputs] @ weights.T for inputs, weights in blocks], dim=-1)


def resize_rows(image: Float[Tensor, "n c h w"], height: int, rows: slice) -> Float[Tensor, "n c h2 w"]:
    """Some `rows` of the image resized to another height."""
    if image.shape[-2] == height:
        return image[..., rows, :].clone()
    blocks = _blocks(image.shape[-2], height, range(height)[rows])
    return _concatenate([weights @ image[..., inputs, :] for inputs, weights in blocks], dim=-2)


def _concatenate(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _blocks(length_in: int, length_out: int, outputs: range) -> Iterator[tuple[slice, Float[Tensor, "outputs inputs"]]]:
    """For consecutive blocks of output pixels: the input pixels that they depend on, and their weights."""
    block = max(1, min(_BLOCK_INPUTS * length_out // length_in, _MAX_BLOCK_OUTPUTS))
    for start in range(outputs.start, outputs.stop, block):
        yield _weights(length_in, length_out, start, min(start + block, outputs.stop))


@lru_cache(maxsize=1024)
def _weights(length_in: int, length_out: int, start: int, stop: int) -> tuple[slice, Float[Tensor, "outputs inputs"]]:
    scale = length_in / length_out
    support = 2 * max(scale, 1)
    first = max(0, math.floor((start + 0.5) * scale - support))
    last = min(length_in, math.ceil((stop - 0.5) * scale + support))
    centres = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(first, last, dtype=torch.float64) + 0.5 - centres[:, None]).abs() / max(scale, 1)
    near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
    far = _A * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return slice(first, last), (weights / weights.sum(dim=1, keepdim=True)).float()
