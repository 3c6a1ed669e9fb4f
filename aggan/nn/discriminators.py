"""Networks from a picture to how real it looks."""

import torch
from torch import Tensor, nn

from aggan.nn.init import scaled
from aggan.nn.layer_spec import Style, layers
from aggan.types import Image, Mask


def attend(mask: Mask, image: Image) -> Tensor:
    """[M, G]: what an attention-guided discriminator sees, (n, 4, h, w)."""
    return torch.cat((mask, image), dim=1)


def verdicts(discriminator: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """What it says of real and of fake pictures; in one pass where no norm mixes pictures, which is faster."""
    if any(isinstance(part, nn.BatchNorm2d) for part in discriminator.modules()):
        return discriminator(real), discriminator(fake)
    of_real, of_fake = discriminator(torch.cat((real, fake))).split((len(real), len(fake)))
    return of_real, of_fake


def paper_tower(width: int) -> str:
    """The paper's list (Sec. III-D), norm in the first layer, none in the last: `C64 ... C512 C512s1+`."""
    return f"C{width} C{2 * width} C{4 * width} C{8 * width} C{8 * width}s1+"


def patch_tower(width: int, halvings: int = 3) -> str:
    """Of 70x70 patches (Isola et al., 2017): `C64+ C128 C256 C512s1` at width 64; with four halvings of 142x142."""
    halved = " ".join(f"C{min(2**k, 8) * width}" for k in range(1, halvings))
    return f"C{width}+ {halved} C{8 * width}s1"


class PooledDiscriminator(nn.Module):
    """The paper's: convolutions, average pooling, one number a picture (n, 1, 1, 1)."""

    def __init__(self, channels: int, width: int, style: Style) -> None:
        super().__init__()
        self.tower, filters = layers(paper_tower(width), channels, style)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.judge = nn.Conv2d(filters, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.judge(self.pool(self.tower(image))).float()


class Critic(nn.Module):
    """One number for each overlapping patch (n, 1, h', w'), and what the layers below saw."""

    def __init__(self, channels: int, tower: str, style: Style, judge: nn.Conv2d) -> None:
        """`judge` is the last convolution, on the filters that come out of the tower."""
        super().__init__()
        self.tower, _ = layers(tower, channels, style)
        self.judge = judge

    def forward(self, image: Tensor) -> Tensor:
        return self.judge(self.tower(image)).float()

    def look(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The verdict, and the features (n, c, h, w) behind every layer of the tower."""
        features = []
        for layer in self.tower:
            image = layer(image)
            features.append(image)
        return self.judge(image).float(), features


class PatchDiscriminator(Critic):
    """The discriminator of patches of 70x70 pixels, or 142x142 with four halvings."""

    def __init__(self, channels: int, width: int, style: Style, halvings: int = 3) -> None:
        judge = nn.Conv2d(8 * width, 1, 4, padding=style.padding)
        super().__init__(channels, patch_tower(width, halvings), style, judge)


SLOPE = 0.01
"""Of StarGAN's leaky units."""


class DomainDiscriminator(nn.Module):
    """StarGAN's: a map of how real patches look, and a code read off the whole picture (Choi et al., 2018)."""

    def __init__(self, size: int, codes: int, width: int = 64, channels: int = 3) -> None:
        """`size` is the pictures' side: the code's head covers what six halvings leave of it."""
        super().__init__()
        notation = " ".join(f"C{width * 2**k}+" for k in range(6))
        self.tower, filters = layers(notation, channels, Style(slope=SLOPE))
        self.judge = nn.Conv2d(filters, 1, 3, padding=1, bias=False)
        self.read = nn.Conv2d(filters, codes, size // 64, bias=False)
        scaled(self, SLOPE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The map (n, 1, h/64, w/64) and the code (n, codes)."""
        features = self.tower(image)
        return self.judge(features).float(), self.read(features).flatten(1).float()

    def compare(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps of real and of fake pictures, and the codes of the real ones, in one pass through the weights."""
        maps, codes = self(torch.cat((real, fake)))
        return maps[: len(real)], maps[len(real) :], codes[: len(real)]
