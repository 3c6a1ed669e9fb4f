"""DualGAN (Yi, Zhang, Tan, Gong; ICCV 2017): U-Nets that undo each other.

The layers and the loss are those of the code that was released with the paper in 2017; the article
itself has a Wasserstein critic with clipped weights, which `adversarial` chooses.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from aggan import losses
from aggan.losses import l1
from aggan.methods import base
from aggan.methods.base import About, Crossed, Task, Terms, Turn, TwoWay, every, nothing, require_size, require_two
from aggan.nn.discriminators import Critic
from aggan.nn.init import initialise
from aggan.nn.layer_spec import AffineInstanceNorm, Style
from aggan.nn.unet import Shape, UNet, levels_of
from aggan.types import Unpaired

ADVERSARIAL = {"cross-entropy": losses.cross_entropy, "wasserstein": losses.wasserstein}


class Config(base.Config):
    """The 2017 code's settings."""

    system: Literal["dualgan"] = "dualgan"
    about: ClassVar[About] = About("DualGAN", "Yi, Zhang, Tan, Gong; ICCV 2017")

    adversarial: Literal["cross-entropy", "wasserstein"] = Field(
        default="cross-entropy", description="The code's; or the article's, whose critics' weights are clipped."
    )
    clip: float = Field(default=0.01, gt=0, description="Largest weight of a Wasserstein critic (article: 0.01-0.1).")
    lambda_cycle: float = Field(default=20.0, ge=0, description="Weight of the reconstruction losses.")
    bottleneck_norm: bool = Field(
        default=True,
        description="As released: a norm at the U-Net's single pixel, which lets nothing through; False repairs it.",
    )
    generator_width: int = Field(default=64, ge=1)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "DualGAN":
        require_two(task, "dualgan")
        require_size(task, "dualgan", levels_of(task.size) >= 5, "32, 64, 128, 256, ...")
        return DualGAN(self, task)


class DualGAN(TwoWay):
    """Two U-Nets, two critics; two steps of the generators to one of the critics."""

    square = True
    noisy = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.gan = ADVERSARIAL[config.adversarial]
        levels = levels_of(task.size)
        shape = Shape(
            AffineInstanceNorm,
            norm_at_bottleneck=config.bottleneck_norm,
            kernel=5,
            width=config.generator_width,
            dropout=frozenset({0, 1, 2}),
        )
        self.G_xy, self.G_yx = UNet(levels, shape), UNet(levels, shape)
        self.D_x, self.D_y = self._critic(config.discriminator_width), self._critic(config.discriminator_width)
        initialise(self)

    def _critic(self, width: int) -> Critic:
        tower = f"F{width}+ F{2 * width} F{4 * width} F{8 * width}s1"
        return Critic(3, tower, Style(AffineInstanceNorm, slope=0.2), nn.Conv2d(8 * width, 1, 5, padding=2))

    def turns(self) -> tuple[Turn, ...]:
        clipped = self.clip if self.config.adversarial == "wasserstein" else nothing
        return (
            Turn("discriminators", self.discriminator_loss, ("D_x", "D_y"), due=every(2), after=clipped),
            Turn("generators", self.generator_loss, ("G_xy", "G_yx")),
        )

    def generator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        again = l1(self.G_yx(made.y), real.x) + l1(self.G_xy(made.x), real.y)
        return {
            "gan": self.gan.fool(self.D_y(made.y)) + self.gan.fool(self.D_x(made.x)),
            "cycle": self.config.lambda_cycle * again,  # Eq. 2
        }

    def discriminator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        return {
            "D_y": self.gan.judge(self.D_y(real.y), self.D_y(made.y.detach())),  # Eq. 1
            "D_x": self.gan.judge(self.D_x(real.x), self.D_x(made.x.detach())),
        }

    @torch.no_grad()
    def clip(self) -> None:
        """Keep the critics' weights in [-clip, clip] (Arjovsky et al., 2017)."""
        for parameter in (*self.D_x.parameters(), *self.D_y.parameters()):
            parameter.clamp_(-self.config.clip, self.config.clip)
