"""3x3 convolutions with 16 multiplications instead of 36: Winograd's minimal filtering F(2x2, 3x3).

The map is cut into tiles of 2x2 pixels. Each tile is computed from the 4x4 pixels around it (Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, CVPR 2016, Sec. 4.1):

    Y = A^T [(G g G^T) * (B^T d B)] A

    d       4x4 input tile          B^T d B   input transform
    g       3x3 filter              G g G^T   filter transform
    Y       2x2 output tile         A^T m A   output transform, of the products m

            | 1  0 -1  0 |          | 1    0    0   |
    B^T =   | 0  1  1  0 |    G =   | 1/2  1/2  1/2 |    A^T =   | 1  1  1  0 |
            | 0 -1  1  0 |          | 1/2 -1/2  1/2 |            | 0  1 -1 -1 |
            | 0  1  0 -1 |          | 0    0    1   |

Summed over the channels, the elementwise product `*` is 16 matrix products (tiles x channels) (channels x filters).
The backward pass uses the transposed transforms. The results equal PyTorch's up to rounding, and in fp32 they are as
close to the exact values.

Layouts in this file: pixels (n, h, w, c), tiles (4, 4, n, h / 2, w / 2, c), weights (k, c, 3, 3).
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from aggan.ops.cpu_features import has_avx2_only
from aggan.ops.derived import compute_dtype, derived

MIN_CHANNELS = 64
"""Minimum of c k / (c + k): a tile saves 20 products for each of c k, and needs about 100 sums for each of c + k."""
MIN_PIXELS = 256 if has_avx2_only() else 1024
"""Minimum of the pixels of a batch. Below it, the filter transforms cost more than the products that are saved
(docs/decisions/0010 and 0011)."""


MAX_KEPT_NUMEL = 2**20
"""Elements of the tiles that are kept for the backward pass."""


def is_faster(weight: Float[Tensor, "k c size size"], images: int, height: int, width: int) -> bool:
    """Whether `conv2d` is faster than PyTorch's for an output of `images` x k x `height` x `width`."""
    k, c, size, _ = weight.shape
    large = c * k >= MIN_CHANNELS * (c + k) and images * height * width >= MIN_PIXELS
    return size == 3 and large and height % 2 == 0 and width % 2 == 0


def conv2d(
    x: Float[Tensor, "n c padded_h padded_w"], weight: Float[Tensor, "k c 3 3"], bias: Float[Tensor, " k"] | None
) -> Float[Tensor, "n k h w"]:
    """`F.conv2d` of images that are already padded, with stride 1; h and w must be even.

    It can be differentiated once: a second derivative raises `RuntimeError`.
    """
    x = x.to(compute_dtype(x))
    y = _Convolution.apply(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)
    return y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1)


class _Convolution(torch.autograd.Function):
    """Padded pixels (n, h + 2, w + 2, c) and weights (k, c, 3, 3) to pixels (n, h, w, k)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        tiles, filters = _input_transform(x), derived(_filter_transform, weight, x.dtype)
        # Large tiles are computed again in the backward pass, because they need four times the memory of x.
        kept = tiles if tiles.numel() <= MAX_KEPT_NUMEL else x
        ctx.save_for_backward(kept, weight, filters)
        products = torch.bmm(_as_matrices(tiles), filters.transpose(1, 2))
        return _output_transform(products.view(*tiles.shape[:-1], -1))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the name of `ctx`
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        (gradient,) = gradients
        kept, weight, filters = ctx.saved_tensors
        d_x = d_weight = None
        tiles = _output_transform_transpose(gradient)
        if ctx.needs_input_grad[0]:
            products = torch.bmm(_as_matrices(tiles), filters)
            d_x = _input_transform_transpose(products.view(*tiles.shape[:-1], -1))
        if ctx.needs_input_grad[1]:
            seen = kept if kept.ndim == tiles.ndim else _input_transform(kept)
            products = torch.bmm(_as_matrices(tiles).transpose(1, 2), _as_matrices(seen))
            d_weight = _filter_transform_transpose(products.to(weight.dtype))
        return d_x, d_weight


def _as_matrices(tiles: Tensor) -> Tensor:
    """(4, 4, n, h, w, c) to (16, n * h * w, c)."""
    return tiles.flatten(2, 4).flatten(0, 1)


def _filter_transform(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """G g G^T: weights (k, c, 3, 3) to (16, k, c)."""
    return (_kron_g(weight) @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(16, *weight.shape[:2]).to(dtype)


def _filter_transform_transpose(filters: Tensor) -> Tensor:
    """G^T f G: (16, k, c) to weights (k, c, 3, 3)."""
    _, k, c = filters.shape
    return (_kron_g(filters).T @ filters.flatten(1)).view(3, 3, k, c).permute(2, 3, 0, 1)


def _kron_g(like: Tensor) -> Tensor:
    """The Kronecker product of G with itself, (16, 9): G g G^T as one matrix product."""
    G = like.new_tensor(((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)))
    return torch.kron(G, G)


def _input_transform(x: Tensor) -> Tensor:
    """B^T d B: padded pixels to tiles."""
    n, h, w, c = x.shape
    rows = x.new_empty(4, n, h // 2 - 1, w, c)
    _set_bt([x[:, i : h - 2 + i : 2] for i in range(4)], rows.unbind(0))
    tiles = x.new_empty(4, 4, n, h // 2 - 1, w // 2 - 1, c)
    _set_bt([rows[:, :, :, i : w - 2 + i : 2] for i in range(4)], tiles.unbind(1))
    return tiles


def _input_transform_transpose(tiles: Tensor) -> Tensor:
    """B t B^T: tiles to padded pixels; overlapping tiles add up."""
    n, tiles_down, tiles_across, c = tiles.shape[2:]
    rows = tiles.new_zeros(4, n, tiles_down, 2 * tiles_across + 2, c)
    _add_b(tiles.unbind(1), [rows[:, :, :, i : 2 * tiles_across + i : 2] for i in range(4)])
    x = tiles.new_zeros(n, 2 * tiles_down + 2, 2 * tiles_across + 2, c)
    _add_b(rows.unbind(0), [x[:, i : 2 * tiles_down + i : 2] for i in range(4)])
    return x


def _output_transform(tiles: Tensor) -> Tensor:
    """A^T m A: tiles to pixels."""
    n, tiles_down, tiles_across, k = tiles.shape[2:]
    rows = tiles.new_empty(2, 4, n, tiles_down, tiles_across, k)
    _set_at(tiles.unbind(0), rows.unbind(0))
    y = tiles.new_empty(n, tiles_down, 2, tiles_across, 2, k)
    _set_at(rows.unbind(1), y.permute(2, 4, 0, 1, 3, 5).unbind(1))
    return y.view(n, 2 * tiles_down, 2 * tiles_across, k)


def _output_transform_transpose(pixels: Tensor) -> Tensor:
    """A y A^T: pixels to tiles."""
    n, h, w, k = pixels.shape
    blocks = pixels.reshape(n, h // 2, 2, w // 2, 2, k).permute(2, 4, 0, 1, 3, 5)
    rows = pixels.new_empty(4, 2, n, h // 2, w // 2, k)
    _set_a(blocks.unbind(0), rows.unbind(0))
    tiles = pixels.new_empty(4, 4, n, h // 2, w // 2, k)
    _set_a(rows.unbind(1), tiles.unbind(1))
    return tiles


def _set_bt(d: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """out = B^T d."""
    torch.sub(d[0], d[2], out=out[0])
    torch.add(d[1], d[2], out=out[1])
    torch.sub(d[2], d[1], out=out[2])
    torch.sub(d[1], d[3], out=out[3])


def _add_b(t: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """out += B t; in place, because tiles overlap."""
    out[0].add_(t[0])
    out[1].add_((t[1] - t[2]).add_(t[3]))
    out[2].add_((t[1] + t[2]).sub_(t[0]))
    out[3].sub_(t[3])


def _set_at(m: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """out = A^T m."""
    torch.add(m[0], m[1], out=out[0]).add_(m[2])
    torch.sub(m[1], m[2], out=out[1]).sub_(m[3])


def _set_a(y: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """out = A y."""
    out[0].copy_(y[0])
    torch.add(y[0], y[1], out=out[1])
    torch.sub(y[0], y[1], out=out[2])
    torch.neg(y[1], out=out[3])
