"""U-Nets: an encoder and a decoder with skip connections (Ronneberger et al., 2015; Isola et al., 2017).

Without the skip connections they are encoder-decoders.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.nn.generators import concat_code
from aggan.nn.layer_spec import Norm, PadBehind, no_norm
from aggan.types import Code, Image


@dataclass(frozen=True)
class UNetStyle:
    """What differs between the U-Nets of different papers."""

    norm: Norm
    norm_at_bottleneck: bool = False
    kernel: int = 4
    width: int = 64
    skips: bool = True
    bias: bool = True
    """Whether the convolutions have a bias; the last one always has one."""
    code_length: int = 0
    """Length of a code that every layer of the encoder sees as constant maps."""
    slope: float = 0.2
    """Negative slope of the encoder's leaky ReLUs."""
    dropout: frozenset[int] = frozenset()
    """Layers of the decoder with dropout, counted from the bottleneck."""
    dropout_in_translation: bool = True
    """Whether dropout stays on in translation, or ends with the training."""


class AlwaysDropout(nn.Module):
    """Dropout in translation too: the only noise of these generators (Isola et al., 2017, Sec. 2.1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


class UNet(nn.Module):
    """An encoder down to one pixel and a decoder back; tanh at the end.

    Each of the `levels` layers of the encoder halves height and width. For width 64 they have 64, 128, 256, 512, 512,
    ... filters.

    The padding is TensorFlow's SAME: with 4x4 kernels one pixel on each side, with 5x5 kernels one before the image and
    two behind. A transposed convolution cuts off what the convolution of its level pads.
    """

    def __init__(self, levels: int, style: UNetStyle) -> None:
        super().__init__()
        widths = [min(2**k, 8) * style.width for k in range(levels)]
        in_widths = [3, *widths[:-1]]
        without_norm = {0} if style.norm_at_bottleneck else {0, levels - 1}
        self.down = nn.ModuleList(
            _down(in_widths[k] + style.code_length, widths[k], style, first=k == 0, without_norm=k in without_norm)
            for k in range(levels)
        )
        self.up = nn.ModuleList(
            _up(
                widths[k] * (1 if k == levels - 1 or not style.skips else 2),
                in_widths[k],
                style,
                dropout=levels - 1 - k in style.dropout,
            )
            for k in reversed(range(levels))
        )
        self.skips = style.skips

    def forward(self, image: Image, code: Code | None = None) -> Image:
        """Sides must be multiples of 2^levels."""
        features: list[Tensor] = [image]
        for layer in self.down:
            features.append(layer(concat_code(features[-1], code)))
        x = features.pop()
        for layer in self.up:
            x = layer(x)
            skip = features.pop()
            if self.skips and features:  # the image itself is not skipped to the output
                x = torch.cat((skip, x), dim=1)
        return x.float().tanh()


def _down(in_channels: int, filters: int, style: UNetStyle, first: bool, without_norm: bool) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, filters, style.kernel, 2, style.kernel // 2 - 1, bias=style.bias)
    # Not in place: the skip connection still needs the input.
    activation = nn.Identity() if first else nn.LeakyReLU(style.slope)
    pad = [PadBehind(1)] if style.kernel % 2 else []
    return nn.Sequential(activation, *pad, conv, (no_norm if without_norm else style.norm)(filters))


def _up(in_channels: int, filters: int, style: UNetStyle, dropout: bool) -> nn.Sequential:
    last = filters == 3
    conv = nn.ConvTranspose2d(
        in_channels,
        filters,
        style.kernel,
        stride=2,
        padding=style.kernel // 2 - 1,
        bias=style.bias or last,
    )
    crop = [PadBehind(-1)] if style.kernel % 2 else []
    layers = [nn.ReLU(), conv, *crop, (no_norm if last else style.norm)(filters)]
    if dropout:
        layers.append(AlwaysDropout() if style.dropout_in_translation else nn.Dropout(0.5))
    return nn.Sequential(*layers)


def count_halvings(size: int) -> int:
    """How often a side can be halved down to one pixel: log2 of a power of two, 0 for any other size."""
    return size.bit_length() - 1 if size & (size - 1) == 0 else 0
