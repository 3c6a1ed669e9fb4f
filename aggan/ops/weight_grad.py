"""The gradient of a convolution with respect to its weights, as a matrix product.

On CPUs with AVX2 but without AVX-512, PyTorch's library (oneDNN) computes this gradient from channels-last maps with
strides that miss the cache. It takes up to seven times as long as the convolution itself. This module lays the
windows that the filters saw out in rows, and one product, (filters x pixels) (pixels x windows), gives the gradient.
Everything else is PyTorch's. The results equal PyTorch's up to rounding.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.ops.cpu_features import has_avx2_only

MIN_CHANNELS = 64
"""Input channels and output channels from which the product is faster (docs/decisions/0011)."""
MAX_BAND_NUMEL = 2**21
"""Elements of the windows that are laid out at once, so that they stay in the cache. A band has at least one row."""


class Geometry(NamedTuple):
    """Of a square convolution."""

    stride: int
    padding: int
    transposed: bool = False
    output_padding: int = 0
    """Of a transposed convolution."""


def is_faster(weight: Float[Tensor, "c1 c2 size size"]) -> bool:
    """Whether a gradient will be computed, and `convolution` is then faster than PyTorch's."""
    learns = weight.requires_grad and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return learns and has_avx2_only() and min(weight.shape[:2]) >= MIN_CHANNELS


def convolution(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "c1 c2 size size"],
    bias: Float[Tensor, " k"] | None,
    geometry: Geometry,
) -> Float[Tensor, "n k out_h out_w"]:
    """`F.conv2d` with weights (k, c, size, size), or `F.conv_transpose2d` with weights (c, k, size, size)."""
    y = _Convolution.apply(x, weight, bias, geometry)
    assert isinstance(y, Tensor)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return torch.convolution(x, weight, bias, *_torch_arguments(geometry))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        # A gradient penalty differentiates this gradient again. PyTorch's own gradient can be differentiated.
        differentiable = torch.is_grad_enabled()
        d_x, d_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight,
            None,
            *_torch_arguments(ctx.geometry),
            [needs_x, needs_weight and differentiable, False],
        )
        if needs_weight and not differentiable:
            d_weight = _weight_gradient(x, gradient, weight.shape[2], ctx.geometry)
        # Computed here, because oneDNN would compute the gradient of the weights along with it.
        d_bias = gradient.sum((0, 2, 3)) if needs_bias else None
        return d_x, d_weight, d_bias, None


def _torch_arguments(geometry: Geometry) -> tuple[list[int], list[int], list[int], bool, list[int], int]:
    """Stride, padding, dilation, transposed, output padding and groups, as `torch.convolution` takes them."""
    stride, padding, transposed, output_padding = geometry
    return [stride] * 2, [padding] * 2, [1, 1], transposed, [output_padding] * 2, 1


def _weight_gradient(x: Tensor, gradient: Tensor, size: int, geometry: Geometry) -> Tensor:
    """(k, c, size, size), or (c, k, size, size) if transposed: then the filters saw windows of the output."""
    source, target = (gradient, x) if geometry.transposed else (x, gradient)
    source = F.pad(source, (geometry.padding,) * 4).permute(0, 2, 3, 1)
    target = target.permute(0, 2, 3, 1)
    n, height, width, filters = target.shape
    total = source.new_zeros(filters, size * size * source.shape[3])
    rows = max(1, MAX_BAND_NUMEL // (n * width * total.shape[1]))
    for top in range(0, height, rows):
        band = target[:, top : top + rows]
        start, stop = top * geometry.stride, (top + band.shape[1] - 1) * geometry.stride + size
        total.addmm_(band.flatten(0, 2).T, _windows(source[:, start:stop], size, geometry.stride))
    return total.view(filters, size, size, -1).permute(0, 3, 1, 2)


def _windows(maps: Tensor, size: int, stride: int) -> Tensor:
    """(n, h, w, c) to (n * h' * w', size * size * c)."""
    windows = maps.unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)
    return windows.flatten(0, 2).flatten(1)
