"""Convolutions, and the gradients of their weights, as matrix products with the windows that the filters see.

PyTorch's library (oneDNN) rearranges the weights of a convolution in every pass. Where a map has few pixels for so
many filters, this takes as long as the products. And it computes the gradient of the weights with strides that miss
the cache, on CPUs with AVX2 but without AVX-512 up to seven times as long as the convolution itself. This module lays
the windows out in rows. Then one product, (pixels x windows) (windows x filters), is the convolution, and another one,
(filters x pixels) (pixels x windows), is the gradient of the weights. The gradient of the input, and everything else,
is PyTorch's. The results equal PyTorch's up to rounding.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.ops.cpu_features import has_avx2_only, has_avx512
from aggan.ops.derived import cast, compute_dtype, derived

FORWARD_PIXELS, FORWARD_PIXELS_BF16 = 1, 2
GRADIENT_PIXELS, GRADIENT_PIXELS_BF16 = 2, 2
"""With AVX-512 the products are faster up to this many pixels per filter (docs/decisions/0013)."""
SMALL_OUTPUT, SMALL_OUTPUT_COUNTS_AS = 4, 128
"""Up to four filters leave most lanes of oneDNN's convolutions idle. They count as more, up to which products pay."""
MIN_CHANNELS = 64
"""Input channels and output channels from which the gradient is faster without AVX-512 (docs/decisions/0011)."""
MAX_BAND_NUMEL = 2**21
"""Elements of the windows that are laid out at once, so that they stay in the cache. A band has at least one row."""


class Geometry(NamedTuple):
    """Of a square convolution."""

    stride: int
    padding: int
    transposed: bool = False
    output_padding: int = 0
    """Of a transposed convolution."""


class Products(NamedTuple):
    """What is computed as a product with windows."""

    output: bool
    weight_gradient: bool


def choose(weight: Float[Tensor, "c1 c2 size size"], pixels: int, dtype: torch.dtype) -> Products:
    """The products that are faster than PyTorch's convolutions.

    `pixels` counts the positions where a filter is applied, over the whole batch. Filters are the output channels, or
    the input channels of a transposed convolution, whose output is always PyTorch's.
    """
    learns, bf16 = weight.requires_grad and torch.is_grad_enabled(), dtype is torch.bfloat16
    if has_avx2_only():
        return Products(False, learns and not bf16 and min(weight.shape[:2]) >= MIN_CHANNELS)
    if not has_avx512() or weight.shape[2] == 1:
        return Products(False, False)
    filters = len(weight) if len(weight) > SMALL_OUTPUT else SMALL_OUTPUT_COUNTS_AS
    return Products(
        pixels <= filters * (FORWARD_PIXELS_BF16 if bf16 else FORWARD_PIXELS),
        learns and pixels <= filters * (GRADIENT_PIXELS_BF16 if bf16 else GRADIENT_PIXELS),
    )


def convolution(
    x: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "c1 c2 size size"],
    bias: Float[Tensor, " k"] | None,
    geometry: Geometry,
    products: Products,
) -> Float[Tensor, "n k out_h out_w"]:
    """`F.conv2d` with weights (k, c, size, size), or `F.conv_transpose2d` with weights (c, k, size, size)."""
    y = _Convolution.apply(x, weight, bias, geometry, products)
    assert isinstance(y, Tensor)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, products: Products
    ) -> Tensor:
        dtype = compute_dtype(x)
        filters = derived(cast, weight, dtype)
        ctx.save_for_backward(x, weight, filters)
        ctx.geometry, ctx.products = geometry, products
        x, bias = x.to(dtype), None if bias is None else bias.to(dtype)
        if not products.output or geometry.transposed:
            return torch.convolution(x, filters, bias, *_torch_arguments(geometry))
        windows = _windows(_pad(x, geometry.padding), weight.shape[2], geometry.stride)
        n, height, width = windows.shape[:3]
        # Not a view, because a layer that follows may change it in place.
        y = torch.empty((n, len(weight), height, width), dtype=dtype, memory_format=torch.channels_last)
        rows, matrix = y.permute(0, 2, 3, 1).flatten(0, 2), filters.permute(0, 2, 3, 1).flatten(1).T
        if bias is None:
            torch.mm(windows.flatten(0, 2).flatten(1), matrix, out=rows)
        else:
            torch.addmm(bias, windows.flatten(0, 2).flatten(1), matrix, out=rows)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight, filters = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        # A gradient penalty differentiates this gradient again. PyTorch's own gradient can be differentiated.
        differentiable = torch.is_grad_enabled()
        x, product = x.to(filters.dtype), ctx.products.weight_gradient and not differentiable
        d_x, d_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight.to(filters.dtype) if differentiable else filters,
            None,
            *_torch_arguments(ctx.geometry),
            [needs_x, needs_weight and not product, False],
        )
        if needs_weight and product:
            d_weight = _weight_gradient(x, gradient, weight.shape[2], ctx.geometry)
        # Computed here, because oneDNN would compute the gradient of the weights along with it.
        d_bias = gradient.sum((0, 2, 3)) if needs_bias else None
        return d_x, d_weight, d_bias, None, None


def _torch_arguments(geometry: Geometry) -> tuple[list[int], list[int], list[int], bool, list[int], int]:
    """Stride, padding, dilation, transposed, output padding and groups, as `torch.convolution` takes them."""
    stride, padding, transposed, output_padding = geometry
    return [stride] * 2, [padding] * 2, [1, 1], transposed, [output_padding] * 2, 1


def _weight_gradient(x: Tensor, gradient: Tensor, size: int, geometry: Geometry) -> Tensor:
    """(k, c, size, size), or (c, k, size, size) if transposed: then the filters saw windows of the output."""
    source, target = (gradient, x) if geometry.transposed else (x, gradient)
    source, target = _pad(source, geometry.padding), target.permute(0, 2, 3, 1)
    n, height, width, filters = target.shape
    numel = size * size * source.shape[1]
    rows, total = max(1, MAX_BAND_NUMEL // (n * width * numel)), None
    for top in range(0, height, rows):
        band = target[:, top : top + rows]
        start, stop = top * geometry.stride, (top + band.shape[1] - 1) * geometry.stride + size
        windows = _windows(source[:, :, start:stop], size, geometry.stride)
        product = band.flatten(0, 2).T @ windows.flatten(0, 2).flatten(1)
        total = product if total is None else total.add_(product)
    assert total is not None
    return total.view(filters, size, size, -1).permute(0, 3, 1, 2)


def _pad(maps: Tensor, padding: int) -> Tensor:
    return F.pad(maps, (padding,) * 4) if padding else maps


def _windows(maps: Tensor, size: int, stride: int) -> Tensor:
    """(n, c, h, w) to (n, h', w', size, size, c)."""
    return maps.permute(0, 2, 3, 1).unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)
