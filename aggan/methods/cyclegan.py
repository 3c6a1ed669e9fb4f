"""CycleGAN (Zhu, Park, Isola, Efros; ICCV 2017).

x, y          real pictures of the domains X and Y
G_xy, G_yx    the paper's G and F
D_x, D_y      discriminators of 70x70 patches
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from aggan.losses import l1
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Crossed, Task, Terms, Turn, TwoWay, require_size, require_two
from aggan.nn.discriminators import PatchDiscriminator, verdicts
from aggan.nn.generators import ResNetGenerator, resnet
from aggan.nn.image_pool import Pool
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style
from aggan.types import Unpaired


class Config(base.Config):
    """The released defaults; the paper used the identity loss for paintings only."""

    system: Literal["cyclegan"] = "cyclegan"
    about: ClassVar[About] = About("CycleGAN", "Zhu, Park, Isola, Efros; ICCV 2017")

    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle loss (Eq. 2).")
    lambda_identity: float = Field(default=5.0, ge=0, description="Weight of the identity loss (Sec. 5.2).")
    pool: int = Field(default=50, ge=0, description="Past pictures kept for the discriminators.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int | None = Field(default=None, ge=0, description="Residual blocks; 9 from 256 px on, else 6.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def build(self, task: Task) -> "CycleGAN":
        require_two(task, "cyclegan")
        require_size(task, "cyclegan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return CycleGAN(self, task)


class CycleGAN(TwoWay):
    """Two generators that must undo each other."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        blocks = (9 if task.size >= 256 else 6) if config.generator_blocks is None else config.generator_blocks
        trunk = resnet(config.generator_width, blocks)
        self.G_xy, self.G_yx = (ResNetGenerator(trunk, Style(), nn.Tanh()) for _ in range(2))
        self.D_x, self.D_y = (PatchDiscriminator(3, config.discriminator_width, Style(slope=0.2)) for _ in range(2))
        self.past_x, self.past_y = Pool(config.pool), Pool(config.pool)
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generators", self.generator_loss, ("G_xy", "G_yx")),
            Turn("discriminators", self.discriminator_loss, ("D_x", "D_y")),
        )

    def generator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        c = self.config
        terms = {
            "gan": gan.fool(self.D_y(made.y)) + gan.fool(self.D_x(made.x)),  # Eq. 1
            "cycle": c.lambda_cycle * (l1(self.G_yx(made.y), real.x) + l1(self.G_xy(made.x), real.y)),  # Eq. 2
        }
        if c.lambda_identity:  # Sec. 5.2
            terms["identity"] = c.lambda_identity * (l1(self.G_xy(real.y), real.y) + l1(self.G_yx(real.x), real.x))
        return terms

    def discriminator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        (G_y,), (G_x,) = self.past_y(made.y), self.past_x(made.x)
        return {
            "D_y": gan.judge(*verdicts(self.D_y, real.y, G_y)) / 2,  # Eq. 1; halved: appendix 7.1
            "D_x": gan.judge(*verdicts(self.D_x, real.x, G_x)) / 2,
        }
