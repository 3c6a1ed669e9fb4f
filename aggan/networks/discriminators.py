"""Networks from a picture to how real it looks."""

from torch import Tensor, nn

from aggan.networks.notation import Style, layers


def paper_tower(width: int) -> str:
    """The paper's list (Sec. III-D), norm in the first layer, none in the last: `C64 ... C512 C512s1+`."""
    return f"C{width} C{2 * width} C{4 * width} C{8 * width} C{8 * width}s1+"


def patch_tower(width: int) -> str:
    """The 70x70 patch discriminator (Isola et al., 2017): `C64+ C128 C256 C512s1` at width 64."""
    return f"C{width}+ C{2 * width} C{4 * width} C{8 * width}s1"


class PooledDiscriminator(nn.Module):
    """The paper's: convolutions, average pooling, one number a picture (n, 1, 1, 1)."""

    def __init__(self, channels: int, width: int, style: Style) -> None:
        super().__init__()
        self.tower, filters = layers(paper_tower(width), channels, style)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.judge = nn.Conv2d(filters, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.judge(self.pool(self.tower(image))).float()


class PatchDiscriminator(nn.Module):
    """One number for each overlapping patch of 70x70 pixels (n, 1, h', w')."""

    def __init__(self, channels: int, width: int, style: Style) -> None:
        super().__init__()
        self.tower, filters = layers(patch_tower(width), channels, style)
        self.judge = nn.Conv2d(filters, 1, 4, padding=style.padding)

    def forward(self, image: Tensor) -> Tensor:
        return self.judge(self.tower(image)).float()
