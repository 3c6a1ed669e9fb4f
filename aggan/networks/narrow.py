"""Convolutions with more weights than pixels, as matrix products.

Near the bottom of a critic or a U-Net a map is a few pixels wide, and the library's convolutions, made for wide
ones, spend their time rearranging millions of weights. As a product of matrices the weights stay where they
are, in channels-last memory, and only pixels move. Equal but for the order of the sums.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FILTERS_A_PIXEL = 1024
"""Products of channels in and out for each pixel of the map from which on the matrix product is faster (decision 8)."""


def narrow(network: nn.Module) -> None:
    """Let all convolutions of a network choose, at each call, what is faster on a CPU."""
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _simple(layer):
            layer.__class__ = NarrowConv2d
        elif type(layer) is nn.ConvTranspose2d and _simple(layer):
            layer.__class__ = NarrowConvTranspose2d


class NarrowConv2d(nn.Conv2d):
    """As `nn.Conv2d`: (n, c, h, w) to (n, k, h', w')."""

    def forward(self, input: Tensor) -> Tensor:
        size, stride, border = _geometry(self)
        n, _, h, w = input.shape
        pixels = n * ((h + 2 * border - size) // stride + 1) * ((w + 2 * border - size) // stride + 1)
        if not _outweigh(self.weight, pixels):
            return super().forward(input)
        x = F.pad(input.permute(0, 2, 3, 1), (0, 0, border, border, border, border))
        windows = x.unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)
        weight = self.weight.permute(0, 2, 3, 1)
        return F.linear(windows.flatten(3), weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class NarrowConvTranspose2d(nn.ConvTranspose2d):
    """As `nn.ConvTranspose2d`: (n, c, h, w) to (n, k, h', w')."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        size, stride, border = _geometry(self)
        n, _, h, w = input.shape
        if output_size is not None or not _outweigh(self.weight, n * h * w):
            return super().forward(input, output_size)
        high, wide = ((side - 1) * stride + size + self.output_padding[0] for side in (h, w))
        weight = self.weight.permute(0, 2, 3, 1)
        windows = (input.permute(0, 2, 3, 1) @ weight.flatten(1)).view(n, h, w, size, size, -1)
        # The way back of `Tensor.unfold`: windows are laid over each other and added up.
        rows = torch.ops.aten.unfold_backward(
            windows.permute(0, 1, 2, 5, 3, 4), [n, h, wide, self.out_channels, size], 2, size, stride
        )
        x = torch.ops.aten.unfold_backward(rows, [n, high, wide, self.out_channels], 1, size, stride)
        x = x[:, border : high - border, border : wide - border].permute(0, 3, 1, 2)
        return x if self.bias is None else x + self.bias.view(-1, 1, 1)


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    """Kernel, stride and padding of a square layer."""
    assert not isinstance(layer.padding, str)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


def _simple(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is of the kind that the papers use here: square, zeros around, neither grouped nor dilated."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding, layer.output_padding))
    return square and layer.padding_mode == "zeros" and layer.groups == 1 and set(layer.dilation) == {1}


def _outweigh(weight: Tensor, pixels: int) -> bool:
    return pixels * FILTERS_A_PIXEL <= weight.shape[0] * weight.shape[1]
