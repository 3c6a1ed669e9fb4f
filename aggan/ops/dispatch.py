"""Convolutions that choose, at each call, what is fastest for their shapes on a CPU.

PyTorch's own stay where nothing is faster. What takes their place where it is computes the same but for rounding, and
the choice depends on shapes and processor alone, so that a resumed run takes the same way (decisions 8, 10 and 11).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.ops import im2col, small_output, weight_grad, winograd


def quicken(network: nn.Module) -> None:
    """Let all convolutions of a network choose."""
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _simple(layer):
            layer.__class__ = QuickConv2d
        elif type(layer) is nn.ConvTranspose2d and _simple(layer):
            layer.__class__ = QuickConvTranspose2d


class QuickConv2d(nn.Conv2d):
    """As `nn.Conv2d`: (n, c, h, w) to (n, k, h', w')."""

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # sizes are left open there
            return super().forward(input)
        size, stride, border = _geometry(self)
        (n, _, h, w), weight = input.shape, self.weight
        high, wide = ((side + 2 * border - size) // stride + 1 for side in (h, w))
        if im2col.pays(weight, n * high * wide):
            return im2col.convolve(self._bordered(input), weight, self.bias, stride)
        if stride == 1 and small_output.pays(weight, n, high, wide):
            return small_output.convolve(self._bordered(input), weight, self.bias)
        if stride == 1 and winograd.pays(weight, n, high, wide):
            return winograd.convolve(self._bordered(input), weight, self.bias)
        if self.padding_mode != "zeros":
            input, border = self._bordered(input), 0
        if weight_grad.pays(weight):
            return weight_grad.convolve(input, weight, self.bias, weight_grad.Geometry(stride, border))
        return F.conv2d(input, weight, self.bias, stride, border)

    def _bordered(self, input: Tensor) -> Tensor:
        _, _, border = _geometry(self)
        if not border:
            return input
        if torch.is_autocast_enabled("cpu"):  # which would reflect in fp32
            input = input.to(torch.get_autocast_dtype("cpu"))
        with torch.autocast("cpu", enabled=False):
            return F.pad(input, (border,) * 4, "constant" if self.padding_mode == "zeros" else self.padding_mode)


class QuickConvTranspose2d(nn.ConvTranspose2d):
    """As `nn.ConvTranspose2d`: (n, c, h, w) to (n, k, h', w')."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if torch.compiler.is_exporting():
            return super().forward(input, output_size)
        (n, _, h, w), (_, stride, border) = input.shape, _geometry(self)
        if output_size is not None:
            return super().forward(input, output_size)
        if im2col.pays(self.weight, n * h * w):
            y = im2col.transpose(input, self.weight, self.bias, stride, self.output_padding[0])
            return y[:, :, border : y.shape[2] - border, border : y.shape[3] - border]
        if weight_grad.pays(self.weight):
            geometry = weight_grad.Geometry(stride, border, True, self.output_padding[0])
            return weight_grad.convolve(input, self.weight, self.bias, geometry)
        return super().forward(input)


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    """Kernel, stride and padding of a square layer."""
    assert not isinstance(layer.padding, str)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


def _simple(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is of the kind that the papers use here: square, neither grouped nor dilated."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding, layer.output_padding))
    return square and layer.groups == 1 and set(layer.dilation) == {1}
