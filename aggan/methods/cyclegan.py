"""CycleGAN (Zhu, Park, Isola, Efros; ICCV 2017).

    x, y          real images of the domains X and Y, (n, 3, h, w) in [-1, 1]
    G_xy, G_yx    generators (the paper's G and F); G_y = G_xy(x), G_x = G_yx(y)
    D_x, D_y      discriminators, 70x70 PatchGANs

    Eq. 1     L_GAN(G_xy, D_y) = E[(D_y(y) - 1)^2] + E[D_y(G_y)^2]                          and G_yx, D_x with x, G_x
    Eq. 2     L_cycle          = E[||G_yx(G_y) - x||_1] + E[||G_xy(G_x) - y||_1]
    Sec. 5.2  L_identity       = E[||G_xy(y) - y||_1] + E[||G_yx(x) - x||_1]

    L_G = E[(D_y(G_y) - 1)^2] + E[(D_x(G_x) - 1)^2] + lambda_cycle * L_cycle + lambda_identity * L_identity
    L_D = 1/2 * L_GAN(G_xy, D_y) + 1/2 * L_GAN(G_yx, D_x)

Eq. 1 is printed with logarithms and trained with least squares (Sec. 4); the factor 1/2 is from appendix 7.1.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from aggan.losses import l1
from aggan.losses import least_squares as gan
from aggan.methods.base import (
    About,
    LossTerms,
    MethodConfig,
    Task,
    TwoWayMethod,
    TwoWayOutputs,
    Update,
    real_of_both,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import PatchDiscriminator, discriminate
from aggan.nn.generators import ResNetGenerator, resnet_trunk
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style
from aggan.types import Needs, UnpairedBatch


class Config(MethodConfig):
    """The defaults are those of the released code. The paper used the identity loss for paintings only."""

    method: Literal["cyclegan"] = "cyclegan"
    about: ClassVar[About] = About("CycleGAN", "Zhu, Park, Isola, Efros; ICCV 2017")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss (Eq. 2).")
    lambda_identity: float = Field(default=5.0, ge=0, description="Weight of the identity loss (Sec. 5.2).")
    pool: int = Field(default=50, ge=0, description="Size of the image pool for the discriminators.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int | None = Field(
        default=None, ge=0, description="Residual blocks of the generator; 9 from 256 px on and 6 below by default."
    )
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def build(self, task: Task) -> "CycleGAN":
        require_two_domains(task, "cyclegan")
        require_size(task, "cyclegan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return CycleGAN(self, task)


class CycleGAN(TwoWayMethod):
    """Two generators that must invert each other."""

    adaptive_augmentation = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        blocks = (9 if task.size >= 256 else 6) if config.generator_blocks is None else config.generator_blocks
        trunk = resnet_trunk(config.generator_width, blocks)
        self.G_xy, self.G_yx = (ResNetGenerator(trunk, Style(), nn.Tanh()) for _ in range(2))
        self.D_x, self.D_y = (PatchDiscriminator(3, config.discriminator_width, Style(slope=0.2)) for _ in range(2))
        self.pool_x, self.pool_y = ImagePool(config.pool), ImagePool(config.pool)
        init_normal(self)

    def updates(self) -> tuple[Update[UnpairedBatch, TwoWayOutputs], ...]:
        return (
            Update("generators", self.generator_loss, ("G_xy", "G_yx")),
            Update("discriminators", self.discriminator_loss, ("D_x", "D_y"), real_inputs=real_of_both),
        )

    def generator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_G."""
        c = self.config
        G_y, G_x = outputs
        terms = {
            "gan": gan.generator_loss(self.D_y(G_y)) + gan.generator_loss(self.D_x(G_x)),  # Eq. 1
            "cycle": c.lambda_cycle * (l1(self.G_yx(G_y), real.x) + l1(self.G_xy(G_x), real.y)),  # Eq. 2
        }
        if c.lambda_identity:  # Sec. 5.2
            terms["identity"] = c.lambda_identity * (l1(self.G_xy(real.y), real.y) + l1(self.G_yx(real.x), real.x))
        return terms

    def discriminator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_D on images of the pools."""
        (G_y,), (G_x,) = self.pool_y(outputs.y), self.pool_x(outputs.x)
        return {
            "D_y": gan.discriminator_loss(*discriminate(self.D_y, real.y, G_y)) / 2,  # Eq. 1
            "D_x": gan.discriminator_loss(*discriminate(self.D_x, real.x, G_x)) / 2,
        }
