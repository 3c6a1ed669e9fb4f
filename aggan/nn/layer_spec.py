"""The field's shorthand for networks, read aloud: `layers("c7s1-64 d128 R256*6 u64", channels=3, style=...)`.

    c7s1-k   7x7 convolution, k filters, stride 1, norm, activation (reflection padding)
    dk       3x3 convolution, k filters, stride 2, norm, activation
    Rk       residual block: two 3x3 convolutions of k filters; Rk*n is n of them in a row
    uk       upsampling by 2 to k filters, norm, activation
    Ck       4x4 convolution, k filters, stride 2, norm, activation; Cks1 has stride 1
    Fk       the same with a 5x5 convolution that keeps (s1) or halves the size
    +        behind a layer: without its norm, as in C64+

(Johnson et al., 2016; Zhu et al., 2017; Isola et al., 2017; AGGAN Sec. III-D.)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]
Upsampling = Callable[[int, int, Norm], nn.Sequential]
Border = Literal["reflect", "zeros"]


def no_norm(channels: int) -> nn.Module:
    """In place of a norm where there is none."""
    return nn.Identity()


class InstanceNorm(nn.Module):
    """Every channel of every picture to mean 0 and variance 1, with no weights and no running statistics.

    Training and evaluation are then the same. In channels-last memory each picture goes through batch norm
    by itself, which is the same arithmetic: PyTorch's instance norm copies several of them to contiguous
    memory and back, and gives a wrong gradient on the CPU for a single one (docs/decisions/0005).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] == 1:  # nothing varies: what is left is 0
            return x - x
        if torch.compiler.is_exporting():  # the same arithmetic, and the number of pictures stays free
            return F.group_norm(x, x.shape[1], eps=self.eps)
        if len(x) == 1:
            return F.batch_norm(x, None, None, training=True, eps=self.eps)
        if x.device.type == "cpu" and not x.is_contiguous():
            return torch.cat([F.batch_norm(one, None, None, training=True, eps=self.eps) for one in x.split(1)])
        return F.instance_norm(x, eps=self.eps)


class AffineInstanceNorm(InstanceNorm):
    """The same, then scaled and shifted by weights of each channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias.view(-1, 1, 1), super().forward(x), self.weight.view(-1, 1, 1))


def batch_statistics(channels: int) -> nn.Module:
    """Batch norm that keeps no running statistics: a translation is made as in training (Isola et al., 2017)."""
    return nn.BatchNorm2d(channels, track_running_stats=False)


NORMS: dict[str, Norm] = {
    "instance": InstanceNorm,
    "batch": nn.BatchNorm2d,
}


def transposed(channels_in: int, channels: int, norm: Norm) -> nn.Sequential:
    """The paper's `uk`: 3x3 transposed convolution with stride 1/2."""
    up = nn.ConvTranspose2d(channels_in, channels, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(up, norm(channels), nn.ReLU(inplace=True))


def transposed4(channels_in: int, channels: int, norm: Norm, bias: bool = True) -> nn.Sequential:
    """4x4 transposed convolution with stride 1/2, as StarGAN and ComboGAN have it."""
    up = nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=bias)
    return nn.Sequential(up, norm(channels), nn.ReLU(inplace=True))


def pixelshuffle(channels_in: int, channels: int, norm: Norm) -> nn.Sequential:
    """The released code's upsampling: 3x3 convolution, then 1x1 to four times the channels, shuffled."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1, padding_mode="reflect"),
        norm(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, 4 * channels, 1),
        nn.PixelShuffle(2),
        norm(channels),
        nn.ReLU(inplace=True),
    )


def nearest(channels_in: int, channels: int, norm: Norm) -> nn.Sequential:
    """Nearest-neighbour upsampling and a 3x3 convolution: no checkerboards (Odena et al., 2016)."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(channels_in, channels, 3, padding=1, padding_mode="reflect"),
        norm(channels),
        nn.ReLU(inplace=True),
    )


UPSAMPLINGS: dict[str, Upsampling] = {
    "transposed": transposed,
    "pixelshuffle": pixelshuffle,
    "nearest": nearest,
}


class Residual(nn.Module):
    """`Rk`: x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, channels: int, norm: Norm, border: Border = "reflect", bias: bool = True) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, channels, channels, 3, padding=1, padding_mode=border, bias=bias)
        self.path = nn.Sequential(conv(), norm(channels), nn.ReLU(inplace=True), conv(), norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.path(x)


@dataclass(frozen=True)
class Style:
    """What the shorthand leaves open."""

    norm: Norm = InstanceNorm
    upsampling: Upsampling = transposed
    slope: float = 0.0
    """Of the leaky ReLU behind `Ck`; 0.2 in the field."""
    padding: int = 1
    """Of `Ck`."""
    border: Border = "reflect"
    """Padding of `c7s1-k` and `Rk`; zeros where a constant map of a label must be told apart."""
    bias: bool = True
    """Of convolutions in front of a norm."""
    bare_bias: bool = True
    """Of convolutions without one."""


_LAYER = re.compile(r"(c7s1-|d|R|u|C|F)(\d+)(s1)?(\*\d+)?(\+)?")


def layers(notation: str, channels: int, style: Style) -> tuple[nn.Sequential, int]:
    """The layers that the notation names, one module a word, and the channels that come out of them."""
    parts: list[nn.Module] = []
    for word in notation.split():
        match = _LAYER.fullmatch(word)
        if match is None:
            raise ValueError(f"not a layer: {word!r} in {notation!r}")
        kind, filters, stride, repeats, bare = match.groups()
        norm = no_norm if bare else style.norm
        for _ in range(int(repeats[1:]) if repeats else 1):
            parts.append(_layer(kind, channels, int(filters), 1 if stride else 2, norm, style))
            channels = int(filters)
    return nn.Sequential(*parts), channels


def _layer(kind: str, before: int, filters: int, stride: int, norm: Norm, style: Style) -> nn.Module:
    bias = style.bare_bias if norm is no_norm else style.bias
    if kind == "R":
        return Residual(filters, norm, style.border, bias)
    if kind == "u":
        return style.upsampling(before, filters, norm)
    if kind in "CF":
        size, padding = (4, style.padding) if kind == "C" else (5, 2)
        conv = nn.Conv2d(before, filters, size, stride, padding, bias=bias)
        return nn.Sequential(conv, norm(filters), nn.LeakyReLU(style.slope, inplace=True))
    if kind == "d":
        conv = nn.Conv2d(before, filters, 3, 2, 1, bias=bias)
    else:
        conv = nn.Conv2d(before, filters, 7, padding=3, padding_mode=style.border, bias=bias)
    return nn.Sequential(conv, norm(filters), nn.ReLU(inplace=True))
