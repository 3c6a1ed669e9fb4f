"""How a model looks at a picture of any size, and how what it says is brought back up.

Mask and content come back bicubically. Where the content agrees with the small picture that the model saw, it takes
over the large one's detail: skin keeps its pores, and no blur shows beside what changes. `docs/translate.md` tells
what was measured, and why a guided filter is not used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.inference.layers import Backend, Layers

STRIDE = 4
"""Generators halve a picture twice: sides must be multiples of this."""
_AGREES = 0.2
"""Content that differs by more (of 2, around a pixel) has a detail of its own."""


def whole(picture: Float[Tensor, "1 3 h w"], model: Backend) -> Layers:
    """The whole picture at the model's size: its shorter side becomes the model's, the longer one follows.

    A model that takes squares of one size only gets the picture squeezed into one.
    """
    height, width = picture.shape[-2:]
    scale = model.size / min(height, width)
    sides = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width)]
    seen = resize(picture, *((model.size, model.size) if model.square else sides)).clamp(-1, 1)
    return look(picture, seen, model)


@dataclass(frozen=True)
class Tiles:
    """Overlapping tiles at the picture's own resolution, for models of textures and scenes; seams are blended.

    A picture with a side that is shorter than a tile is looked at as a whole.
    """

    overlap: float = 0.5
    """The least share of a tile that the next one sees too, from 0 to below 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UserError(f"tiles overlap by a share from 0 to below 1, not {self.overlap}")

    def __call__(self, picture: Float[Tensor, "1 3 h w"], model: Backend) -> Layers:
        side, (height, width) = model.size, picture.shape[-2:]
        if min(height, width) < side:
            return whole(picture, model)
        window = _window(side)
        weights = picture.new_zeros(1, 1, height, width)
        mask, content = torch.zeros_like(weights), torch.zeros_like(picture)
        for top in _starts(height, side, self.overlap):
            for left in _starts(width, side, self.overlap):
                place = (..., slice(top, top + side), slice(left, left + side))
                made = model(picture[place].contiguous())
                weights[place] += window
                mask[place] += window * made.mask
                content[place] += window * made.content
        return Layers(mask.div_(weights), content.div_(weights))


def look(picture: Float[Tensor, "1 3 h w"], seen: Float[Tensor, "1 3 h2 w2"], model: Backend) -> Layers:
    """What a model says of a smaller (or larger) copy of a picture, at the picture's size."""
    made = model(seen)
    height, width = picture.shape[-2:]
    if seen.shape == picture.shape:
        return Layers(made.mask, made.content)
    mask = resize(made.mask, height, width).clamp(0, 1)
    return Layers(mask, detailed(made.content, seen, picture, lambda small: resize(small, height, width)))


def detailed(
    content: Float[Tensor, "1 3 h2 w2"],
    seen: Float[Tensor, "1 3 h2 w2"],
    picture: Float[Tensor, "1 3 h w"],
    bring: Callable[[Tensor], Tensor],
) -> Float[Tensor, "1 3 h w"]:
    """Content at the picture's size, brought there by `bring`, with the picture's detail where the two agree."""
    apart = F.avg_pool2d((content - seen).abs().amax(1, keepdim=True), 3, 1, padding=1, count_include_pad=False)
    agrees = bring((1 - apart / _AGREES).clamp(0, 1)).clamp(0, 1)
    detail = bring(seen).neg_().add_(picture).mul_(agrees)
    return detail.add_(bring(content)).clamp_(-1, 1)


def resize(image: Float[Tensor, "n c h w"], height: int, width: int) -> Float[Tensor, "n c h2 w2"]:
    """Bicubic, antialiased on the way down."""
    if image.shape[-2:] == (height, width):
        return image.clone()
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False)


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin: evenly from edge to edge."""
    step = max(1, round(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    return [round(k * (length - side) / max(1, count - 1)) for k in range(count)]


def _window(side: int) -> Float[Tensor, "side side"]:
    """Weights of a tile's pixels: a hill, so that seams fade."""
    edge = torch.sin(torch.pi * (torch.arange(side) + 0.5) / side) ** 2
    return edge[:, None] * edge
