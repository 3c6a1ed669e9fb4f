"""Convolutions with one to four output channels: four pixels at a time.

A CPU computes 16 output channels at once. The last layer of a generator has three or four, so most lanes idle.
This kernel computes blocks of 2x2 pixels as one pixel of a convolution with stride 2 and four times the output
channels: each filter appears four times, shifted by 0 or 1 pixels down and right inside a kernel that is one pixel
larger. Pixel shuffle then puts the four outputs in their places. The result equals `F.conv2d` up to rounding.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MAX_FILTERS = 4
MIN_PRODUCTS = 2**22
"""Multiplications of the plain convolution from which this one is faster (docs/decisions/0010)."""


def is_faster(weight: Float[Tensor, "k c size size"], images: int, height: int, width: int) -> bool:
    """Whether `conv2d` is faster than PyTorch's for an output of `images` x k x `height` x `width`."""
    small = weight.shape[0] <= MAX_FILTERS and weight.shape[2] > 1
    even = height % 2 == 0 and width % 2 == 0
    return small and even and images * height * width * weight.numel() >= MIN_PRODUCTS


def conv2d(
    x: Float[Tensor, "n c padded_h padded_w"], weight: Float[Tensor, "k c size size"], bias: Float[Tensor, " k"] | None
) -> Float[Tensor, "n k h w"]:
    """`F.conv2d` of images that are already padded, with stride 1; h and w must be even."""
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    filters = torch.stack(shifted, dim=1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    biases = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, filters, biases, stride=2), 2)
