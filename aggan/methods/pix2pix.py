"""Pix2pix, and without skips its Encoder-Decoder (Isola, Zhu, Zhou, Efros; CVPR 2017).

x, y   a picture and its true answer
D      sees both: is y, or G(x), what belongs to x?
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aggan.losses import cross_entropy as gan
from aggan.losses import l1
from aggan.methods import base
from aggan.methods.base import About, Supervised, Task, Terms, Turn, require_size, require_two
from aggan.nn.discriminators import Critic, patch_tower
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style, batch_statistics
from aggan.nn.unet import Shape, UNet, levels_of
from aggan.types import Image, Paired


class Config(base.Config):
    """The released settings; `skips=False` is the paper's encoder-decoder, as its first release counts it."""

    system: Literal["pix2pix"] = "pix2pix"
    about: ClassVar[About] = About("Pix2pix", "Isola, Zhu, Zhou, Efros; CVPR 2017", "pairs")

    lambda_l1: float = Field(default=100.0, ge=0, description="Weight of the L1 loss (Eq. 4).")
    skips: bool = Field(default=True, description="Look across from the way down to the way up.")
    generator_width: int = Field(default=64, ge=1)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "Pix2pix":
        require_two(task, "pix2pix")
        require_size(task, "pix2pix", levels_of(task.size) >= 5, "32, 64, 128, 256, ...")
        return Pix2pix(self, task)


class Pix2pix(Supervised):
    """Learned from pairs; the only noise is dropout, which stays on."""

    square = True
    noisy = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        levels = levels_of(task.size)
        shape = Shape(
            batch_statistics,
            width=config.generator_width,
            skips=config.skips,
            bias=not config.skips,
            # Outputs of 4, 8 and 16 px; smaller pictures have fewer of these layers.
            dropout=frozenset(range(1, min(3, levels - 5) + 1)),
        )
        self.G = UNet(levels, shape)
        width = config.discriminator_width
        style = Style(batch_statistics, slope=0.2, bias=not config.skips)
        self.D = Critic(6, patch_tower(width), style, nn.Conv2d(8 * width, 1, 4, padding=1))
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("discriminator", self.discriminator_loss, ("D",)),
            Turn("generator", self.generator_loss, ("G",)),
        )

    def forward(self, batch: Paired) -> Image:
        return self.G(batch.x)

    def discriminator_loss(self, real: Paired, made: Image) -> Terms:
        return {"D": gan.judge(self.D(pair(real.x, real.y)), self.D(pair(real.x, made.detach()))) / 2}  # Eq. 1

    def generator_loss(self, real: Paired, made: Image) -> Terms:
        return {
            "gan": gan.fool(self.D(pair(real.x, made))),  # Eq. 1
            "l1": self.config.lambda_l1 * l1(made, real.y),  # Eq. 3
        }


def pair(x: Image, y: Image) -> Tensor:
    """[x, y], (n, 6, h, w)."""
    return torch.cat((x, y), dim=1)
