"""Convolutions with more weights than pixels, as matrix products (im2col).

Near the bottom of a discriminator or a U-Net a feature map is a few pixels wide. PyTorch's convolutions are made for
wide maps and spend their time there rearranging millions of weights. In a matrix product the weights stay where they
are in channels-last memory, and only pixels move. The results equal PyTorch's up to rounding.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MIN_CHANNEL_PRODUCTS_PER_PIXEL = 1024
"""The matrix product is faster from this many (input channels x output channels) per pixel (docs/decisions/0008)."""


def is_faster(weight: Float[Tensor, "c1 c2 size size"], pixels: int) -> bool:
    """Whether the matrix product is faster than PyTorch's convolution.

    `pixels` counts the positions where the kernel is applied, over the whole batch: those of the output, or of the
    input of a transposed convolution.
    """
    return pixels * MIN_CHANNEL_PRODUCTS_PER_PIXEL <= weight.shape[0] * weight.shape[1]


def conv2d(
    x: Float[Tensor, "n c padded_h padded_w"],
    weight: Float[Tensor, "k c size size"],
    bias: Float[Tensor, " k"] | None,
    stride: int,
) -> Float[Tensor, "n k h w"]:
    """`F.conv2d` of images that are already padded."""
    size = weight.shape[2]
    windows = x.permute(0, 2, 3, 1).unfold(1, size, stride).unfold(2, size, stride)  # (n, h, w, c, size, size)
    columns = windows.permute(0, 1, 2, 4, 5, 3).flatten(3)  # (n, h, w, size * size * c)
    return F.linear(columns, weight.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)


def conv_transpose2d(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "c k size size"],
    bias: Float[Tensor, " k"] | None,
    stride: int,
    output_padding: int,
) -> Float[Tensor, "n k padded_h padded_w"]:
    """`F.conv_transpose2d` with padding 0: the caller cuts the padding off."""
    (n, _, h, w), (_, k, size, _) = x.shape, weight.shape
    height, width = ((side - 1) * stride + size + output_padding for side in (h, w))
    columns = x.permute(0, 2, 3, 1) @ weight.permute(0, 2, 3, 1).flatten(1)  # (n, h, w, size * size * k)
    windows = columns.view(n, h, w, size, size, k).permute(0, 1, 2, 5, 3, 4)
    # col2im: the gradient of `Tensor.unfold` adds overlapping windows up, first across and then down.
    rows = torch.ops.aten.unfold_backward(windows, [n, h, width, k, size], 2, size, stride)
    y = torch.ops.aten.unfold_backward(rows, [n, height, width, k], 1, size, stride).permute(0, 3, 1, 2)
    return y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1)
