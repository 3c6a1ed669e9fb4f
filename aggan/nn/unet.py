"""U-Nets: halve the picture again and again, and on the way back look across at what was there
(Ronneberger et al., 2015; Isola et al., 2017). Without skips they are encoder-decoders.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.nn.generators import labelled
from aggan.nn.layer_spec import Norm, no_norm
from aggan.types import Code, Image


@dataclass(frozen=True)
class Shape:
    """What U-Nets of different papers differ in."""

    norm: Norm
    norm_at_bottleneck: bool = False
    kernel: int = 4
    width: int = 64
    skips: bool = True
    bias: bool = True
    """Of the convolutions; the last one always has it."""
    codes: int = 0
    """Numbers of a code that every level of the way down sees as constant maps."""
    slope: float = 0.2
    """Of the leaky ReLUs on the way down."""
    dropout: frozenset[int] = frozenset()
    """Layers of the way up, counted from the bottleneck, whose outputs half drop out."""


class AlwaysDropout(nn.Module):
    """Dropout in translation too: the only noise of these generators (Isola et al., 2017, Sec. 2.1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


class UNet(nn.Module):
    """Down to one pixel: `levels` halvings, widths 64-128-256-512-512-... and back; tanh at the end."""

    def __init__(self, levels: int, shape: Shape) -> None:
        super().__init__()
        widths = [min(2**k, 8) * shape.width for k in range(levels)]
        before = [3, *widths[:-1]]
        bare = {0} if shape.norm_at_bottleneck else {0, levels - 1}
        self.down = nn.ModuleList(
            _down(before[k] + shape.codes, widths[k], shape, first=k == 0, bare=k in bare) for k in range(levels)
        )
        self.up = nn.ModuleList(
            _up(widths[k] * (1 if k == levels - 1 or not shape.skips else 2), before[k], shape, levels - 1 - k)
            for k in reversed(range(levels))
        )
        self.skips = shape.skips

    def forward(self, image: Image, code: Code | None = None) -> Image:
        """A picture of the size that it was built for, or of a multiple of it."""
        seen = [image]
        for layer in self.down:
            seen.append(layer(labelled(seen[-1], code)))
        x = seen.pop()
        for layer in self.up:
            x = layer(x)
            across = seen.pop()
            if self.skips and seen:
                x = torch.cat((across, x), dim=1)
        return x.float().tanh()


def _down(before: int, filters: int, shape: Shape, first: bool, bare: bool) -> nn.Sequential:
    conv = nn.Conv2d(before, filters, shape.kernel, 2, (shape.kernel - 1) // 2, bias=shape.bias)
    # Not in place: what comes in is still needed for the skip.
    activation = nn.Identity() if first else nn.LeakyReLU(shape.slope)
    return nn.Sequential(activation, conv, (no_norm if bare else shape.norm)(filters))


def _up(before: int, filters: int, shape: Shape, place: int) -> nn.Sequential:
    last = filters == 3
    odd = shape.kernel % 2
    conv = nn.ConvTranspose2d(
        before, filters, shape.kernel, 2, (shape.kernel - 1) // 2, output_padding=odd, bias=shape.bias or last
    )
    parts = [nn.ReLU(), conv, (no_norm if last else shape.norm)(filters)]
    return nn.Sequential(*parts, *([AlwaysDropout()] if place in shape.dropout else []))


def levels_of(size: int) -> int:
    """Halvings from a side that is a power of two to one pixel; 0 for other sides."""
    return size.bit_length() - 1 if size & (size - 1) == 0 else 0
