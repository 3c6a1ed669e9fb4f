"""How a model looks at a picture of any size, and how what it says is brought back up.

Mask and content come back bicubically. Where the content agrees with the small picture that the model saw, it takes
over the large one's detail: skin keeps its pores, and no blur shows beside what changes. `docs/translate.md` tells
what was measured, and why a guided filter is not used.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.inference.compositing import Backend, Layers, Said
from aggan.inference.resampling import resize, resize_columns, resize_rows
from aggan.types import Translation

STRIDE = 4
"""Generators halve a picture twice: sides must be multiples of this."""
_SHORTEST = 2 * STRIDE
"""Generators mirror pictures at their edges, also where they have halved them twice: that takes two pixels there."""
_LONGEST = 16
"""A model sees at most so many times its size of a picture's longer side."""
_AGREES = 0.2
"""Content that differs by more (of 2, around a pixel) has a detail of its own."""


def whole(picture: Float[Tensor, "1 3 h w"], model: Backend) -> Said:
    """The whole picture at the model's size: its shorter side becomes the model's, the longer one follows.

    Of a picture that is more than 16 times as long as it is wide, the longer side becomes 16 times the model's. A model
    that takes squares of one size only gets the picture squeezed into one.
    """
    height, width = picture.shape[-2:]
    scale = min(model.size / min(height, width), _LONGEST * model.size / max(height, width))
    sides = [max(_SHORTEST, round(side * scale / STRIDE) * STRIDE) for side in (height, width)]
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

    def __call__(self, picture: Float[Tensor, "1 3 h w"], model: Backend) -> Said:
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


@dataclass(frozen=True)
class Enlarged:
    """What a model said of a copy of a picture of another size, at the picture's own, made as rows are asked for."""

    picture: Float[Tensor, "1 3 h w"]
    planes: Float[Tensor, "1 8 h2 w"]
    """`planes` of the copy, as wide as the picture."""

    def rows(self, band: slice) -> Layers:
        return detailed(resize_rows(self.planes, self.picture.shape[-2], band), self.picture[..., band, :])


def look(picture: Float[Tensor, "1 3 h w"], seen: Float[Tensor, "1 3 h2 w2"], model: Backend) -> Said:
    """What a model says of a smaller (or larger) copy of a picture, at the picture's size."""
    made = model(seen)
    if seen.shape == picture.shape:
        return Layers(made.mask, made.content)
    return Enlarged(picture, resize_columns(planes(seen, made), picture.shape[-1]))


def planes(seen: Float[Tensor, "1 3 h w"], made: Translation) -> Float[Tensor, "1 8 h w"]:
    """All that has to be brought to a picture's size: mask, where content and what was seen agree, and these two."""
    apart = F.avg_pool2d((made.content - seen).abs().amax(1, keepdim=True), 3, 1, padding=1, count_include_pad=False)
    return torch.cat((made.mask, 1 - apart / _AGREES, seen, made.content), dim=1)


def detailed(brought: Float[Tensor, "1 8 h w"], picture: Float[Tensor, "1 3 h w"]) -> Layers:
    """The layers that `planes` at a picture's size stand for: content has the picture's detail where the two agree."""
    mask, agrees, seen, content = brought.split((1, 1, 3, 3), dim=1)
    detail = (picture - seen).mul_(agrees.clamp(0, 1))
    return Layers(mask.clamp(0, 1), detail.add_(content).clamp_(-1, 1))


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin: evenly from edge to edge."""
    step = max(1, round(side * (1 - overlap)))
    count = 1 + -(-(length - side) // step)
    return [round(k * (length - side) / max(1, count - 1)) for k in range(count)]


def _window(side: int) -> Float[Tensor, "side side"]:
    """Weights of a tile's pixels: a hill, so that seams fade."""
    edge = torch.sin(torch.pi * (torch.arange(side) + 0.5) / side) ** 2
    return edge[:, None] * edge
