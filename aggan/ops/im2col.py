"""Convolutions with more weights than pixels, as matrix products.

Near the bottom of a critic or a U-Net a map is a few pixels wide, and the library's convolutions, made for wide
ones, spend their time rearranging millions of weights. As a product of matrices the weights stay where they
are, in channels-last memory, and only pixels move. Equal but for the order of the sums.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

FILTERS_A_PIXEL = 1024
"""Products of channels in and out for each pixel of the map from which on the matrix product is faster (decision 8)."""


def pays(weight: Tensor, pixels: int) -> bool:
    """Whether a product of matrices is faster on a CPU, on a map of so many pixels in all."""
    return pixels * FILTERS_A_PIXEL <= weight.shape[0] * weight.shape[1]


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """As `F.conv2d` of pictures with their border: (n, c, h, w) to (n, k, h', w')."""
    size = weight.shape[2]
    windows = x.permute(0, 2, 3, 1).unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)
    return F.linear(windows.flatten(3), weight.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)


def transpose(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, more: int) -> Tensor:
    """As `F.conv_transpose2d` with `more` output padding, the border not cut off: (n, c, h, w) to (n, k, h', w')."""
    (n, _, h, w), (_, k, size, _) = x.shape, weight.shape
    high, wide = ((side - 1) * stride + size + more for side in (h, w))
    windows = (x.permute(0, 2, 3, 1) @ weight.permute(0, 2, 3, 1).flatten(1)).view(n, h, w, size, size, k)
    # The way back of `Tensor.unfold`: windows are laid over each other and added up.
    rows = torch.ops.aten.unfold_backward(windows.permute(0, 1, 2, 5, 3, 4), [n, h, wide, k, size], 2, size, stride)
    y = torch.ops.aten.unfold_backward(rows, [n, high, wide, k], 1, size, stride).permute(0, 3, 1, 2)
    return y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1)
