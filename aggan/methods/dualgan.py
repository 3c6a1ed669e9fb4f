"""DualGAN (Yi, Zhang, Tan, Gong; ICCV 2017): two U-Nets that invert each other.

    x, y          real images of the domains X and Y, (n, 3, h, w) in [-1, 1]
    G_xy, G_yx    generators with dropout; G_y = G_xy(x), G_x = G_yx(y)
    D_x, D_y      discriminators: logits of patches, or scores of Wasserstein critics; s is the sigmoid

    Eq. 1   L_D = -E[log s(D_y(y))] - E[log(1 - s(D_y(G_y)))]                               and D_x with x, G_x
    Eq. 2   L_G = -E[log s(D_y(G_y))] - E[log s(D_x(G_x))]
                  + lambda_cycle * {E[||G_yx(G_y) - x||_1] + E[||G_xy(G_x) - y||_1]}

The layers and these losses are those of the code released with the paper in 2017. So are the updates: on the images of
a step the discriminators learn once and the generators twice. The second time they translate the images anew, as they
have changed. The article itself has Wasserstein losses, which `adversarial` selects: E[D_y(G_y)] - E[D_y(y)] in L_D,
-E[D_y(G_y)] in L_G, and the weights of D_x and D_y are clipped to [-clip, clip].

Two details differ from the code. It truncates its initial weights at two standard deviations, and it translates anew
also for the first update of the generators, which matters to the dropout only.
"""

from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from aggan.losses import cross_entropy, l1, wasserstein
from aggan.methods.base import (
    About,
    LossTerms,
    MethodConfig,
    Task,
    TwoWayMethod,
    TwoWayOutputs,
    Update,
    nothing,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import ConvDiscriminator
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import AffineInstanceNorm, Style
from aggan.nn.unet import UNet, UNetStyle, count_halvings
from aggan.types import Needs, UnpairedBatch

ADVERSARIAL = {"cross-entropy": cross_entropy, "wasserstein": wasserstein}
NORM = partial(AffineInstanceNorm, eps=1e-6)


class Config(MethodConfig):
    """The defaults are those of the code of 2017."""

    method: Literal["dualgan"] = "dualgan"
    about: ClassVar[About] = About("DualGAN", "Yi, Zhang, Tan, Gong; ICCV 2017")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    adversarial: Literal["cross-entropy", "wasserstein"] = Field(
        default="cross-entropy",
        description="Adversarial loss: cross-entropy as released, or wasserstein with clipped weights (the article).",
    )
    clip: float = Field(
        default=0.01, gt=0, description="Largest absolute weight of a Wasserstein critic; 0.01 to 0.1 in the article."
    )
    lambda_cycle: float = Field(default=20.0, ge=0, description="Weight of the reconstruction losses (Eq. 2).")
    bottleneck_norm: bool = Field(
        default=True,
        description="Norm at the U-Net's 1x1 bottleneck as released, which passes no information; off repairs it.",
    )
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def build(self, task: Task) -> "DualGAN":
        require_two_domains(task, "dualgan")
        require_size(task, "dualgan", count_halvings(task.size) >= 5, "32, 64, 128, 256, ...")
        return DualGAN(self, task)


class DualGAN(TwoWayMethod):
    """Two U-Nets and two discriminators; the generators learn twice from the images of a step."""

    fixed_size = True
    stochastic = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.gan = ADVERSARIAL[config.adversarial]
        levels = count_halvings(task.size)
        style = UNetStyle(
            NORM,
            norm_at_bottleneck=config.bottleneck_norm,
            kernel=5,
            width=config.generator_width,
            dropout=frozenset({0, 1, 2}),
        )
        self.G_xy, self.G_yx = UNet(levels, style), UNet(levels, style)
        self.D_x, self.D_y = (build_discriminator(config.discriminator_width) for _ in range(2))
        init_normal(self)

    def updates(self) -> tuple[Update[UnpairedBatch, TwoWayOutputs], ...]:
        after = self.clip_weights if self.config.adversarial == "wasserstein" else nothing
        return (
            Update("discriminators", self.discriminator_loss, ("D_x", "D_y"), after=after),
            Update("generators", self.generator_loss, ("G_xy", "G_yx")),
            Update("generators again", self.second_generator_loss, ("G_xy", "G_yx")),
        )

    def generator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """Eq. 2."""
        G_y, G_x = outputs
        reconstruction_loss = l1(self.G_yx(G_y), real.x) + l1(self.G_xy(G_x), real.y)
        return {
            "gan": self.gan.generator_loss(self.D_y(G_y)) + self.gan.generator_loss(self.D_x(G_x)),
            "cycle": self.config.lambda_cycle * reconstruction_loss,
        }

    def second_generator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """Eq. 2 again: the same images, translated by the generators as they are now."""
        return self.generator_loss(real, self(real))

    def discriminator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """Eq. 1."""
        return {
            "D_y": self.gan.discriminator_loss(self.D_y(real.y), self.D_y(outputs.y.detach())),
            "D_x": self.gan.discriminator_loss(self.D_x(real.x), self.D_x(outputs.x.detach())),
        }

    @torch.no_grad()
    def clip_weights(self) -> None:
        """Keep the discriminators' weights in [-clip, clip] (Arjovsky et al., 2017)."""
        for parameter in (*self.D_x.parameters(), *self.D_y.parameters()):
            parameter.clamp_(-self.config.clip, self.config.clip)


def build_discriminator(width: int) -> ConvDiscriminator:
    """5x5 convolutions with three halvings, then a score for each patch of 93x93 pixels."""
    tower = f"F{width}+ F{2 * width} F{4 * width} F{8 * width}s1"
    style = Style(NORM, slope=0.2, same_padding=True)
    return ConvDiscriminator(3, tower, style, nn.Conv2d(8 * width, 1, 5, padding=2))
