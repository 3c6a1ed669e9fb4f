"""Convolutions with few filters, four pixels at a time.

A processor computes sixteen filters at once; the last layer of a generator has three or four, and leaves most of it
idle. Here such a layer has four times the filters, one set for each pixel of a block of 2x2, with a stride of 2: each
set is the filter, shifted by a pixel inside a kernel one larger. Equal but for the order of the sums.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_FILTERS = 4
LEAST_PRODUCTS = 2**22
"""Of the plain convolution, from which on this one is faster (decision 10)."""


def pays(weight: Tensor, pictures: int, high: int, wide: int) -> bool:
    """Whether it is faster on a CPU; `high` and `wide` are what comes out, with a stride of 1."""
    few = weight.shape[0] <= MOST_FILTERS and weight.shape[2] > 1
    return few and high % 2 == 0 and wide % 2 == 0 and pictures * high * wide * weight.numel() >= LEAST_PRODUCTS


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `F.conv2d` of pictures with their border: (n, c, h, w) to (n, k, h', w'), h' and w' even."""
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    blocks = torch.stack(shifted, dim=1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    biases = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(x, blocks, biases, stride=2), 2)
