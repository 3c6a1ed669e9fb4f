"""Views: how a model of one size is applied to an image of any size.

Mask and content are resized bicubically to the image's size. Where the content agrees with the resized image that the
model saw, the detail of the full-size image is added to it: skin keeps its pores, and nothing blurs beside what
changes. `docs/translate.md` has the measurements, and the reason why no guided filter is used.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.inference.compositing import (
    MIN_SIDE,
    STRIDE,
    Backend,
    LazyPrediction,
    MaskAndContent,
    mask_and_content,
)
from aggan.inference.resampling import resize, resize_columns, resize_rows
from aggan.types import Translation

_MAX_ASPECT = 16
"""The longer side of the image that the model sees is at most this many times the model's size."""
_AGREEMENT = 0.2
"""Content that differs by more than this (of 2, averaged over 3 x 3 pixels) takes no detail from the image."""


def whole_image(image: Float[Tensor, "1 3 h w"], backend: Backend) -> LazyPrediction:
    """Translate the whole image at the model's size: the shorter side becomes the model's, the aspect ratio stays.

    If the image is more than 16 times as long as wide, its longer side becomes 16 times the model's size. A model of a
    fixed size gets the image squeezed into a square.
    """
    height, width = image.shape[-2:]
    scale = min(backend.size / min(height, width), _MAX_ASPECT * backend.size / max(height, width))
    sides = [max(MIN_SIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width)]
    resized = resize(image, *((backend.size, backend.size) if backend.fixed_size else sides)).clamp(-1, 1)
    translation = backend(resized)
    if resized.shape == image.shape:
        return mask_and_content(translation)
    return ResizedPrediction(image, resize_columns(stack_planes(resized, translation), image.shape[-1]))


@dataclass(frozen=True)
class ResizedPrediction:
    """The prediction for a resized copy of an image. Rows at the image's size are computed when requested."""

    image: Float[Tensor, "1 3 h w"]
    planes: Float[Tensor, "1 8 h2 w"]
    """`stack_planes` of the copy, already as wide as the image."""

    def rows(self, band: slice) -> MaskAndContent:
        return restore_detail(resize_rows(self.planes, self.image.shape[-2], band), self.image[..., band, :])


def stack_planes(resized: Float[Tensor, "1 3 h w"], translation: Translation) -> Float[Tensor, "1 8 h w"]:
    """All that must be resized to the image's size: mask, agreement of content and input, input, content."""
    mask, content = mask_and_content(translation)
    difference = (content - resized).abs().amax(1, keepdim=True)
    difference = F.avg_pool2d(difference, 3, 1, padding=1, count_include_pad=False)
    return torch.cat((mask, 1 - difference / _AGREEMENT, resized, content), dim=1)


def restore_detail(planes: Float[Tensor, "1 8 h w"], image: Float[Tensor, "1 3 h w"]) -> MaskAndContent:
    """Mask and content from `stack_planes` at the image's size, with the image's detail where content agrees."""
    mask, agreement, resized, content = planes.split((1, 1, 3, 3), dim=1)
    detail = (image - resized).mul_(agreement.clamp(0, 1))
    return MaskAndContent(mask.clamp(0, 1), detail.add_(content).clamp_(-1, 1))
