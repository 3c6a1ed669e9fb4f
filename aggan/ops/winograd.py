"""3x3 convolutions with 16 products where there were 36: Winograd's minimal filtering F(2x2, 3x3).

The map is cut into tiles of 2x2 pixels, each seen with its border as 4x4. With the matrices of Lavin and Gray
(Fast Algorithms for Convolutional Neural Networks, CVPR 2016)

    y = A' [(G g G') * (B' d B)] A      g a 3x3 filter, d a 4x4 tile, y the 2x2 pixels that come out of it, ' transposes

and `*`, summed over the channels, is 16 products of matrices (tiles x channels) (channels x filters). B and A hold
only 0, 1 and -1. The same values but for rounding: in fp32 as near to the exact ones as the library's.

Layouts here: pixels (n, h, w, c), tiles (4, 4, n, h / 2, w / 2, c).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aggan.ops.cpu_features import stops_at_avx2

Several = Sequence[Tensor]

LEAST_CHANNELS = 64
"""Least c k / (c + k): each tile saves 20 products for each of c k, and spends some 100 sums for each of c + k."""
LEAST_PIXELS = 256 if stops_at_avx2() else 1024
"""Of all maps together; below, the filters' own way there and back takes longer than that saves (decisions 10, 11)."""


def pays(weight: Tensor, pictures: int, high: int, wide: int) -> bool:
    """Whether it is faster on a CPU; `high` and `wide` are what comes out, with a stride of 1."""
    k, c, size, _ = weight.shape
    worth = c * k >= LEAST_CHANNELS * (c + k) and pictures * high * wide >= LEAST_PIXELS
    return size == 3 and worth and high % 2 == 0 and wide % 2 == 0


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `F.conv2d` of pictures with their border: (n, c, h + 2, w + 2) to (n, k, h, w), h and w even.

    Its gradient has no gradient of its own.
    """
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    y = _Convolution.apply(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)
    return y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1)


class _Convolution(torch.autograd.Function):
    """Pixels with their border (n, h + 2, w + 2, c) and filters (k, c, 3, 3) to pixels (n, h, w, k)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        tiles = _seen(x)
        products = torch.bmm(_flat(tiles), _filters(weight, x.dtype).transpose(1, 2))
        return _fused(products.view(*tiles.shape[:-1], -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        # Tiles and filters are made again: they are four and nearly two times as large as what they are made of.
        x, weight = ctx.saved_tensors
        d_x = d_weight = None
        spread = _spread(gradient)
        if ctx.needs_input_grad[0]:
            d_x = _laid(torch.bmm(_flat(spread), _filters(weight, x.dtype)).view(*spread.shape[:-1], -1))
        if ctx.needs_input_grad[1]:
            d_weight = _weight(torch.bmm(_flat(spread).transpose(1, 2), _flat(_seen(x))).to(weight.dtype))
        return d_x, d_weight


def _flat(tiles: Tensor) -> Tensor:
    """(4, 4, n, h, w, c) to (16, n h w, c)."""
    return tiles.flatten(2, 4).flatten(0, 1)


def _filters(weight: Tensor, kind: torch.dtype) -> Tensor:
    """G g G': filters (k, c, 3, 3) to (16, k, c) of some kind."""
    return (_twice_g(weight) @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(16, *weight.shape[:2]).to(kind)


def _weight(filters: Tensor) -> Tensor:
    """The way back of `_filters`: (16, k, c) to (k, c, 3, 3)."""
    _, k, c = filters.shape
    return (_twice_g(filters).T @ filters.flatten(1)).view(3, 3, k, c).permute(2, 3, 0, 1)


def _twice_g(like: Tensor) -> Tensor:
    g = like.new_tensor(((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)))
    return torch.kron(g, g)


def _seen(x: Tensor) -> Tensor:
    """B' d B: pixels with their border to tiles, first down and then across."""
    n, h, w, c = x.shape
    rows = x.new_empty(4, n, h // 2 - 1, w, c)
    _differ([x[:, i : h - 2 + i : 2] for i in range(4)], rows.unbind(0))
    tiles = x.new_empty(4, 4, n, h // 2 - 1, w // 2 - 1, c)
    _differ([rows[:, :, :, i : w - 2 + i : 2] for i in range(4)], tiles.unbind(1))
    return tiles


def _laid(tiles: Tensor) -> Tensor:
    """The way back of `_seen`: tiles are laid over each other and added up."""
    n, high, wide, c = tiles.shape[2:]
    rows = tiles.new_zeros(4, n, high, 2 * wide + 2, c)
    _add_up(tiles.unbind(1), [rows[:, :, :, i : 2 * wide + i : 2] for i in range(4)])
    x = tiles.new_zeros(n, 2 * high + 2, 2 * wide + 2, c)
    _add_up(rows.unbind(0), [x[:, i : 2 * high + i : 2] for i in range(4)])
    return x


def _fused(tiles: Tensor) -> Tensor:
    """A' m A: tiles to pixels."""
    n, high, wide, k = tiles.shape[2:]
    rows = tiles.new_empty(2, 4, n, high, wide, k)
    _sum(tiles.unbind(0), rows.unbind(0))
    y = tiles.new_empty(n, high, 2, wide, 2, k)
    _sum(rows.unbind(1), y.permute(2, 4, 0, 1, 3, 5).unbind(1))
    return y.view(n, 2 * high, 2 * wide, k)


def _spread(pixels: Tensor) -> Tensor:
    """A g A', the way back of `_fused`: pixels to tiles."""
    n, h, w, k = pixels.shape
    pairs = pixels.reshape(n, h // 2, 2, w // 2, 2, k).permute(2, 4, 0, 1, 3, 5)
    rows = pixels.new_empty(4, 2, n, h // 2, w // 2, k)
    _share(pairs.unbind(0), rows.unbind(0))
    tiles = pixels.new_empty(4, 4, n, h // 2, w // 2, k)
    _share(rows.unbind(1), tiles.unbind(1))
    return tiles


def _differ(d: Several, out: Several) -> None:
    """B' d."""
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _add_up(t: Several, out: Several) -> None:
    """B t, added to what is there: places of neighbouring tiles are the same."""
    out[0].add_(t[0])
    out[1].add_((t[1] - t[2]).add_(t[3]))
    out[2].add_((t[1] + t[2]).sub_(t[0]))
    out[3].sub_(t[3])


def _sum(m: Several, out: Several) -> None:
    """A' m."""
    torch.add(m[0], m[1], out=out[0]).add_(m[2])
    torch.sub(m[1], m[2], out=out[1]).sub_(m[3])


def _share(g: Several, out: Several) -> None:
    """A g."""
    out[0].copy_(g[0])
    torch.add(g[0], g[1], out=out[1])
    torch.sub(g[0], g[1], out=out[2])
    torch.neg(g[1], out=out[3])
