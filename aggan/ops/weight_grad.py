"""The gradient of a convolution's filters as a product of matrices.

Where a processor has AVX2 but not AVX-512, the library sums this gradient over channels-last maps in strides that miss
the cache, and takes up to seven times as long for it as for the convolution. Here the windows that the filters saw are
laid out in rows, and one product, (filters x pixels) (pixels x windows), adds them up. All else is the library's.
Equal but for the order of the sums.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aggan.ops.cpu_features import stops_at_avx2

LEAST_CHANNELS = 64
"""In and out, from which on the product is faster (decision 11)."""
MOST_NUMBERS = 2**21
"""Of windows laid out at once, so that they stay in the cache; a row of all maps is, whatever its size."""


class Geometry(NamedTuple):
    """Of a square convolution; `more` is a transposed one's output padding."""

    stride: int
    border: int
    transposed: bool = False
    more: int = 0


def pays(weight: Tensor) -> bool:
    """Whether a gradient will be asked for, and this way is faster."""
    learns = weight.requires_grad and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
    return learns and stops_at_avx2() and min(weight.shape[:2]) >= LEAST_CHANNELS


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """As `F.conv2d` or `F.conv_transpose2d`: (n, c, h, w) to (n, k, h', w')."""
    y = _Convolution.apply(x, weight, bias, geometry)
    assert isinstance(y, Tensor)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return torch.convolution(x, weight, bias, *_told(geometry))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias, _ = ctx.needs_input_grad
        # Under a gradient penalty the gradient's own gradient will be asked for, which the library's way has.
        plainly = torch.is_grad_enabled()
        d_x, d_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *_told(ctx.geometry), [for_x, for_weight and plainly, False]
        )
        if for_weight and not plainly:
            d_weight = _gradient(x, gradient, weight.shape[2], ctx.geometry)
        # Asked for the bias's, the library would sum up the filters' as well.
        return d_x, d_weight, gradient.sum((0, 2, 3)) if for_bias else None, None


def _told(geometry: Geometry) -> tuple[list[int], list[int], list[int], bool, list[int], int]:
    """Stride, padding, dilation, whether transposed, output padding, groups: as PyTorch's general convolution asks."""
    stride, border, transposed, more = geometry
    return [stride] * 2, [border] * 2, [1, 1], transposed, [more] * 2, 1


def _gradient(x: Tensor, gradient: Tensor, size: int, geometry: Geometry) -> Tensor:
    """Of filters (k, c, size, size); or of transposed ones (c, k, size, size), which saw windows of what came out."""
    seen, moved = (gradient, x) if geometry.transposed else (x, gradient)
    seen = F.pad(seen, (geometry.border,) * 4).permute(0, 2, 3, 1)
    moved = moved.permute(0, 2, 3, 1)
    n, high, wide, filters = moved.shape
    total = seen.new_zeros(filters, size * size * seen.shape[3])
    rows = max(1, MOST_NUMBERS // (n * wide * total.shape[1]))
    for top in range(0, high, rows):
        band = moved[:, top : top + rows]
        begin, end = top * geometry.stride, (top + band.shape[1] - 1) * geometry.stride + size
        total.addmm_(band.flatten(0, 2).T, _windows(seen[:, begin:end], size, geometry.stride))
    return total.view(filters, size, size, -1).permute(0, 3, 1, 2)


def _windows(maps: Tensor, size: int, stride: int) -> Tensor:
    """(n, h, w, c) to (n h' w', size size c)."""
    windows = maps.unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)
    return windows.flatten(0, 2).flatten(1)
