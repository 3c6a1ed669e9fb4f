"""A 3x3 convolution of a map that was doubled by nearest-neighbour upsampling, computed before it is doubled.

Every pixel of the doubled map is there four times, so a 3x3 window of it covers only 2x2 pixels of the map itself.
Which weights meet at the same pixel depends on the position of the window, (p, q), each 0 or 1: even rows see the map's
rows (i - 1, i, i), odd rows (i, i, i + 1). So four 2x2 filters, whose weights are sums of the 3x3 filter's weights,
give the four pixels of the doubled output: 16 multiplications instead of 36. Reflection around the doubled map is the
map with its edge repeated. The results equal PyTorch's up to rounding.

    p = 0   row 0: w[0]           row 1: w[1] + w[2]
    p = 1   row 0: w[0] + w[1]    row 1: w[2]                  columns likewise
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.ops.derived import compute_dtype

ROWS = (((1, 0, 0), (0, 1, 1)), ((1, 1, 0), (0, 0, 1)))
"""For each p, the 3x3 filter's rows that add up to each row of a 2x2 filter."""


def conv2d(
    x: Float[Tensor, "n c h w"], weight: Float[Tensor, "k c 3 3"], bias: Float[Tensor, " k"] | None
) -> Float[Tensor, "n k doubled_h doubled_w"]:
    """`x` doubled, padded by one reflected pixel, and `F.conv2d` of it."""
    filters = _filters(weight)
    x = x.to(compute_dtype(x))
    with torch.autocast("cpu", enabled=False):  # it would repeat the edge in float32
        padded = F.pad(x, (1, 1, 1, 1), "replicate")
    y = _Interleave.apply(F.conv2d(padded, filters, None if bias is None else bias.repeat(4)))
    assert isinstance(y, Tensor)
    return y


def _filters(weight: Float[Tensor, "k c 3 3"]) -> Float[Tensor, "4*k c 2 2"]:
    """The filters of (p, q) = (0, 0), (0, 1), (1, 0) and (1, 1), one after the other, in channels-last memory."""
    rows = weight.new_tensor(ROWS)
    sums = torch.einsum("pai,qbj->pqabij", rows, rows).view(16, 9)
    k, c = weight.shape[:2]
    filters = sums @ weight.permute(2, 3, 0, 1).reshape(9, -1)  # a row for each of (p, q, a, b)
    return filters.view(4, 4, k, c).transpose(1, 2).reshape(4 * k, 2, 2, c).permute(0, 3, 1, 2)


class _Interleave(torch.autograd.Function):
    """Outputs of the four filters (n, 4 k, h + 1, w + 1) to the doubled map (n, k, 2 h, 2 w)."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        n, k4, h, w = y.shape
        # Not a view, because a layer that follows may change it in place.
        size = n, k4 // 4, 2 * h - 2, 2 * w - 2
        doubled = torch.empty(size, dtype=y.dtype, memory_format=torch.channels_last)
        for part, pixels in zip(_parts(y), _pixels(doubled), strict=True):
            pixels.copy_(part)
        return doubled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        d_y = _Separate.apply(gradient)
        assert isinstance(d_y, Tensor)
        return d_y


class _Separate(torch.autograd.Function):
    """The gradient of `_Interleave`, and it is the gradient of this."""

    @staticmethod
    def forward(ctx: Any, doubled: Tensor) -> Tensor:
        n, k, h, w = doubled.shape
        y = doubled.new_zeros(n, h // 2 + 1, w // 2 + 1, 4 * k).permute(0, 3, 1, 2)
        for part, pixels in zip(_parts(y), _pixels(doubled), strict=True):
            part.copy_(pixels)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        d_doubled = _Interleave.apply(gradient)
        assert isinstance(d_doubled, Tensor)
        return d_doubled


def _parts(y: Tensor) -> list[Tensor]:
    """What each filter gives: the filters of odd rows and columns start one pixel further on."""
    h, w = y.shape[2] - 1, y.shape[3] - 1
    return [filters[:, :, i // 2 : i // 2 + h, i % 2 : i % 2 + w] for i, filters in enumerate(y.chunk(4, 1))]


def _pixels(doubled: Tensor) -> list[Tensor]:
    """Where each filter's output belongs."""
    return [doubled[:, :, p::2, q::2] for p in (0, 1) for q in (0, 1)]
