"""The field's shorthand for network layers, such as `c7s1-64 d128 R256*6 u64`.

    c7s1-k   7x7 convolution, k filters, stride 1, norm, activation (reflection padding)
    dk       3x3 convolution, k filters, stride 2, norm, activation
    Rk       residual block of two 3x3 convolutions with k filters; Rk*n is n of them in a row
    uk       upsampling by 2 to k filters, norm, activation
    Ck       4x4 convolution, k filters, stride 2, norm, activation; Cks1 has stride 1
    Fk       5x5 convolution, k filters, stride 2, norm, activation; Fks1 has stride 1
    +        after a layer: without its norm, as in C64+

(Johnson et al., 2016; Zhu et al., 2017; Isola et al., 2017; AGGAN Sec. III-D.)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FeatureMaps = Float[Tensor, "n c h w"]

Norm = Callable[[int], nn.Module]
"""From a number of channels to a norm for them."""
Upsampling = Callable[[int, int, Norm], nn.Sequential]
"""From input channels, output channels and a norm to layers that double height and width."""
PaddingMode = Literal["reflect", "zeros"]


def no_norm(channels: int) -> nn.Module:
    """The norm of a layer without a norm."""
    return nn.Identity()


class Statistics(NamedTuple):
    """Mean and variance of each channel, in float32."""

    mean: Float[Tensor, " c"]
    variance: Float[Tensor, " c"]


class InstanceNorm(nn.Module):
    """Normalises every channel of every image to mean 0 and variance 1 (Ulyanov et al., 2016).

    It has no weights and no running statistics, so training and evaluation are the same. In channels-last memory
    each image goes through batch norm by itself, which is the same arithmetic. PyTorch's instance norm copies
    several images to contiguous memory and back, and its gradient is wrong on the CPU for a single one
    (docs/decisions/0005).
    """

    statistics: Statistics | None = None
    """Those of a whole image, to normalise tiles of it (`aggan.nn.tiling`); None for those of each image itself."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        if self.statistics is not None:
            return F.batch_norm(x, *self.statistics, eps=self.eps)
        if x.shape[2] * x.shape[3] == 1:  # the variance of one pixel is 0
            return x - x
        if torch.compiler.is_exporting():  # the same arithmetic, but it leaves the number of images open
            return F.group_norm(x, x.shape[1], eps=self.eps)
        if len(x) == 1 or (x.device.type == "cpu" and not x.is_contiguous()):
            # With a weight in float32 the statistics are in float32, too; bfloat16 would round them.
            ones = x.new_ones(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
            norm = partial(F.batch_norm, running_mean=None, running_var=None, weight=ones, training=True, eps=self.eps)
            return norm(x) if len(x) == 1 else torch.cat([norm(image) for image in x.split(1)])
        return F.instance_norm(x, eps=self.eps)


class AffineInstanceNorm(InstanceNorm):
    """Instance norm with a learned scale and shift for each channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        return torch.addcmul(self.bias.view(-1, 1, 1), super().forward(x), self.weight.view(-1, 1, 1))


def untracked_batch_norm(channels: int) -> nn.Module:
    """Batch norm without running statistics: translation normalises as training does (Isola et al., 2017)."""
    return nn.BatchNorm2d(channels, track_running_stats=False)


NORMS: dict[str, Norm] = {
    "instance": InstanceNorm,
    "batch": nn.BatchNorm2d,
}


def transposed(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """The paper's `uk`: 3x3 transposed convolution with stride 1/2."""
    conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(conv, norm(out_channels), nn.ReLU(inplace=True))


def transposed4(in_channels: int, out_channels: int, norm: Norm, bias: bool = True) -> nn.Sequential:
    """4x4 transposed convolution with stride 1/2, as in StarGAN and ComboGAN."""
    conv = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
    return nn.Sequential(conv, norm(out_channels), nn.ReLU(inplace=True))


def pixelshuffle(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """AGGAN's released code: a 3x3 convolution, a 1x1 convolution to four times the channels, pixel shuffle."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect"),
        norm(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, 4 * out_channels, 1),
        nn.PixelShuffle(2),
        norm(out_channels),
        nn.ReLU(inplace=True),
    )


def nearest(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """Nearest-neighbour upsampling and a 3x3 convolution: no checkerboard artifacts (Odena et al., 2016)."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect"),
        norm(out_channels),
        nn.ReLU(inplace=True),
    )


UPSAMPLINGS: dict[str, Upsampling] = {
    "transposed": transposed,
    "pixelshuffle": pixelshuffle,
    "nearest": nearest,
}


class PadBehind(nn.ZeroPad2d):
    """Adds rows and columns of zeros behind an image, or removes some: the odd pixel of TensorFlow's SAME padding."""

    def __init__(self, pixels: int) -> None:
        """`pixels` to add; a negative number removes them."""
        super().__init__((0, pixels, 0, pixels))


class Residual(nn.Module):
    """`Rk`: x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, channels: int, norm: Norm, padding_mode: PaddingMode = "reflect", bias: bool = True) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, channels, channels, 3, padding=1, padding_mode=padding_mode, bias=bias)
        self.path = nn.Sequential(conv(), norm(channels), nn.ReLU(inplace=True), conv(), norm(channels))

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        return x + self.path(x)


@dataclass(frozen=True)
class Style:
    """What a layer spec leaves open."""

    norm: Norm = InstanceNorm
    upsampling: Upsampling = transposed
    slope: float = 0.0
    """Negative slope of the leaky ReLU of `Ck` and `Fk`; 0.2 is usual."""
    padding: int = 1
    """Padding of `Ck`."""
    padding_mode: PaddingMode = "reflect"
    """Padding mode of `c7s1-k` and `Rk`; zeros where an instance norm must not remove a constant label map."""
    bias: bool = True
    """Whether convolutions before a norm have a bias."""
    bias_without_norm: bool = True
    """Whether convolutions without a norm have a bias."""
    same_padding: bool = False
    """Whether `Fk` pads as TensorFlow's SAME: one pixel before the image and two behind, instead of two and two."""


_LAYER = re.compile(r"(c7s1-|d|R|u|C|F)(\d+)(s1)?(\*\d+)?(\+)?")


def build_layers(spec: str, channels: int, style: Style) -> tuple[nn.Sequential, int]:
    """The layers of a spec, and the number of channels that they return.

    `channels` is the number of input channels. Each word becomes one module, or n modules if it ends in `*n`.
    Raises ValueError if a word is not a layer.
    """
    layers: list[nn.Module] = []
    for word in spec.split():
        match = _LAYER.fullmatch(word)
        if match is None:
            raise ValueError(f"not a layer: {word!r} in {spec!r}")
        kind, filters, stride1, repeats, plus = match.groups()
        norm = no_norm if plus else style.norm
        for _ in range(int(repeats[1:]) if repeats else 1):
            layers.append(_build_layer(kind, channels, int(filters), 1 if stride1 else 2, norm, style))
            channels = int(filters)
    return nn.Sequential(*layers), channels


def _build_layer(kind: str, channels: int, filters: int, stride: int, norm: Norm, style: Style) -> nn.Module:
    bias = style.bias_without_norm if norm is no_norm else style.bias
    if kind == "R":
        return Residual(filters, norm, style.padding_mode, bias)
    if kind == "u":
        return style.upsampling(channels, filters, norm)
    if kind in "CF":
        odd_pixel = kind == "F" and stride == 2 and style.same_padding
        size, padding = (4, style.padding) if kind == "C" else (5, 1 if odd_pixel else 2)
        conv = nn.Conv2d(channels, filters, size, stride, padding, bias=bias)
        layers = (conv, norm(filters), nn.LeakyReLU(style.slope, inplace=True))
        return nn.Sequential(PadBehind(1), *layers) if odd_pixel else nn.Sequential(*layers)
    if kind == "d":
        conv = nn.Conv2d(channels, filters, 3, 2, 1, bias=bias)
    else:
        conv = nn.Conv2d(channels, filters, 7, padding=3, padding_mode=style.padding_mode, bias=bias)
    return nn.Sequential(conv, norm(filters), nn.ReLU(inplace=True))
