"""Convolutions that choose the fastest kernel for their shapes on a CPU, at each call.

`use_fast_convolutions(network)` turns the convolutions of a network into these. Where no kernel of this package is
faster, they call PyTorch's. All kernels compute the same up to rounding. The choice depends only on the shapes and
the CPU, so a resumed training makes the same choices (docs/decisions/0008, 0010 and 0011).

To rule the kernels out, set the environment variable AGGAN_PLAIN_CONVOLUTIONS=1 or use `plain_convolutions()`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.ops import im2col, small_output, upsampled, windows, winograd
from aggan.ops.derived import compute_dtype

_plain = os.environ.get("AGGAN_PLAIN_CONVOLUTIONS") == "1"


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """Inside, all convolutions of this process are PyTorch's, whether or not their network uses fast ones."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def use_fast_convolutions(network: nn.Module) -> None:
    """Let the convolutions of a network choose their kernel.

    The weights and their names stay the same. Grouped, dilated and non-square convolutions stay PyTorch's; inside
    `plain_convolutions()` all do.
    """
    if _plain:
        return
    for layers in network.modules():
        if isinstance(layers, nn.Sequential):
            for first, second in pairwise(layers):
                if _doubles(first) and _is_convolution_after_upsampling(second):
                    first.__class__, second.__class__ = DeferredUpsample, FastUpsampledConv2d
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _is_supported(layer):
            layer.__class__ = FastConv2d
        elif type(layer) is nn.ConvTranspose2d and _is_supported(layer):
            layer.__class__ = FastConvTranspose2d


class FastConv2d(nn.Conv2d):
    """Like `nn.Conv2d`."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k out_h out_w"]:
        if _plain or torch.compiler.is_exporting():  # an exported model leaves its sizes open
            return super().forward(input)
        size, stride, padding = _geometry(self)
        (n, _, h, w), weight = input.shape, self.weight
        height, width = ((side + 2 * padding - size) // stride + 1 for side in (h, w))
        pixels = n * height * width
        if im2col.is_faster(weight, pixels):
            return im2col.conv2d(self._pad(input), weight, self.bias, stride)
        if stride == 1 and small_output.is_faster(weight, n, height, width):
            return small_output.conv2d(self._pad(input), weight, self.bias)
        if stride == 1 and winograd.is_faster(weight, n, height, width):
            return winograd.conv2d(self._pad(input), weight, self.bias)
        if self.padding_mode != "zeros":
            input, padding = self._pad(input), 0
        if any(products := windows.choose(weight, pixels, compute_dtype(input))):
            return windows.convolution(input, weight, self.bias, windows.Geometry(stride, padding), products)
        return F.conv2d(input, weight, self.bias, stride, padding)

    def _pad(self, input: Tensor) -> Tensor:
        _, _, padding = _geometry(self)
        if not padding:
            return input
        # Autocast would reflect in fp32: convert, pad and convert back, forward and backward.
        input = input.to(compute_dtype(input))
        with torch.autocast("cpu", enabled=False):
            return F.pad(input, (padding,) * 4, "constant" if self.padding_mode == "zeros" else self.padding_mode)


class FastConvTranspose2d(nn.ConvTranspose2d):
    """Like `nn.ConvTranspose2d`."""

    def forward(
        self, input: Float[Tensor, "n c h w"], output_size: list[int] | None = None
    ) -> Float[Tensor, "n k out_h out_w"]:
        if _plain or torch.compiler.is_exporting() or output_size is not None:
            return super().forward(input, output_size)
        (n, _, h, w), (_, stride, padding) = input.shape, _geometry(self)
        if im2col.is_faster(self.weight, n * h * w):
            y = im2col.conv_transpose2d(input, self.weight, self.bias, stride, self.output_padding[0])
            return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]
        if (products := windows.choose(self.weight, n * h * w, compute_dtype(input))).weight_gradient:
            geometry = windows.Geometry(stride, padding, transposed=True, output_padding=self.output_padding[0])
            return windows.convolution(input, self.weight, self.bias, geometry, products)
        return super().forward(input)


class DeferredUpsample(nn.Upsample):
    """Like `nn.Upsample`, if the convolution that follows is computed on the doubled map."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c _ _"]:
        return super().forward(input) if _plain or torch.compiler.is_exporting() else input


class FastUpsampledConv2d(nn.Conv2d):
    """Like `nn.Conv2d` after `DeferredUpsample`."""

    def forward(self, input: Float[Tensor, "n c _ _"]) -> Float[Tensor, "n k doubled_h doubled_w"]:
        if _plain or torch.compiler.is_exporting():
            return super().forward(input)
        return upsampled.conv2d(input, self.weight, self.bias)


def _doubles(layer: nn.Module) -> bool:
    return type(layer) is nn.Upsample and layer.mode == "nearest" and layer.scale_factor == 2


def _is_convolution_after_upsampling(layer: nn.Module) -> bool:
    """Whether `upsampled.conv2d` can compute it."""
    if type(layer) is not nn.Conv2d or not _is_supported(layer):
        return False
    return _geometry(layer) == (3, 1, 1) and layer.padding_mode == "reflect"


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int, int]:
    """Kernel size, stride and padding of a square layer."""
    assert not isinstance(layer.padding, str)
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


def _is_supported(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is square, neither grouped nor dilated."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding, layer.output_padding))
    return square and layer.groups == 1 and set(layer.dilation) == {1}
