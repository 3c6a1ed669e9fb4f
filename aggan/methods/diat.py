"""DIAT-A (Li, Zuo, Zhang; 2016): a face gets an attribute and stays the same person.

    x, y   faces without and with the attribute; one model a direction
    D      also says who it is: its last two layers must see the same in x and G(x)

There is no released code: networks and weights are choices made here, and the enhancement network
of the first version is left out.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from aggan.losses import least_squares as gan
from aggan.losses import perceived, total_variation
from aggan.methods import base
from aggan.methods.base import About, OneWay, Task, Terms, Turn, require_size, require_two
from aggan.nn.discriminators import PatchDiscriminator, verdicts
from aggan.nn.generators import ResNetGenerator, resnet
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style
from aggan.types import Image, Unpaired

IDENTITY_LAYERS = 2
"""Of the discriminator, counted from its last."""


class Config(base.Config):
    """Weights are choices made here."""

    system: Literal["diat"] = "diat"
    about: ClassVar[About] = About("DIAT", "Li, Zuo, Zhang; 2016")

    lambda_identity: float = Field(default=1.0, ge=0, description="Weight of the adaptive identity loss.")
    lambda_tv: float = Field(default=1e-6, ge=0, description="Weight of the picture's total variation.")
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=5, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "DIAT":
        require_two(task, "diat")
        require_size(task, "diat", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return DIAT(self, task)


class DIAT(OneWay):
    """From X to Y; train another one for the way back."""

    batch_type = Unpaired

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        trunk = resnet(config.generator_width, config.generator_blocks)
        self.G = ResNetGenerator(trunk, Style(), nn.Tanh())
        self.D = PatchDiscriminator(3, config.discriminator_width, Style(slope=0.2))
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generator", self.generator_loss, ("G",)),
            Turn("discriminator", self.discriminator_loss, ("D",)),
        )

    def forward(self, batch: Unpaired) -> Image:
        return self.G(batch.x)

    def generator_loss(self, real: Unpaired, made: Image) -> Terms:
        c = self.config
        verdict, features = self.D.look(made)
        _, own = self.D.look(real.x)
        return {
            "gan": gan.fool(verdict),
            "identity": c.lambda_identity * perceived(own[-IDENTITY_LAYERS:], features[-IDENTITY_LAYERS:]),
            "tv": c.lambda_tv * total_variation(made),
        }

    def discriminator_loss(self, real: Unpaired, made: Image) -> Terms:
        return {"D": gan.judge(*verdicts(self.D, real.y, made.detach())) / 2}
