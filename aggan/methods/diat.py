"""DIAT-A (Li, Zuo, Zhang; 2016): gives a face an attribute and keeps the person.

    x, y    real faces without and with the attribute, (n, 3, h, w) in [-1, 1]
    G       generator from X to Y; the other direction needs a second model
    D       discriminator, a 70x70 PatchGAN
    f_l     feature maps of the l-th layer of D

    L_G = E[(D(G(x)) - 1)^2] + lambda_identity * sum_l E[(f_l(G(x)) - f_l(x))^2] + lambda_tv * L_tv(G(x))
    L_D = 1/2 * {E[(D(y) - 1)^2] + E[D(G(x))^2]}

where l runs over the last two layers of D's tower. L_tv, the total variation, stands in for the paper's perceptual
regularisation, a denoising network. No code was released: networks and weights are choices made here, and the
enhancement network of the first version is left out.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from aggan.losses import least_squares as gan
from aggan.losses import perceptual, total_variation
from aggan.methods.base import (
    About,
    LossTerms,
    MethodConfig,
    OneWayMethod,
    Task,
    Update,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import PatchDiscriminator, discriminate
from aggan.nn.generators import ResNetGenerator, resnet_trunk
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style
from aggan.types import Image, Needs, UnpairedBatch

IDENTITY_LAYERS = 2
"""Last layers of the discriminator's tower that the identity loss compares."""


class Config(MethodConfig):
    """The defaults are choices made here."""

    method: Literal["diat"] = "diat"
    about: ClassVar[About] = About("DIAT", "Li, Zuo, Zhang; 2016")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    lambda_identity: float = Field(default=1.0, ge=0, description="Weight of the adaptive identity loss.")
    lambda_tv: float = Field(
        default=1e-6, ge=0, description="Weight of the output's total variation, instead of a denoiser."
    )
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=5, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of the discriminator's first layer.")

    def build(self, task: Task) -> "DIAT":
        require_two_domains(task, "diat")
        require_size(task, "diat", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return DIAT(self, task)


class DIAT(OneWayMethod[UnpairedBatch, Image]):
    """One generator, and a discriminator whose features also compare identities."""

    adaptive_augmentation = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        trunk = resnet_trunk(config.generator_width, config.generator_blocks)
        self.G = ResNetGenerator(trunk, Style(), nn.Tanh())
        self.D = PatchDiscriminator(3, config.discriminator_width, Style(slope=0.2))
        init_normal(self)

    def updates(self) -> tuple[Update[UnpairedBatch, Image], ...]:
        return (
            Update("generator", self.generator_loss, ("G",)),
            Update("discriminator", self.discriminator_loss, ("D",), real_inputs=lambda real, _: {"D": real.y}),
        )

    def forward(self, batch: UnpairedBatch) -> Image:
        return self.G(batch.x)

    def generator_loss(self, real: UnpairedBatch, outputs: Image) -> LossTerms:
        """L_G."""
        c = self.config
        # In one pair, so that both are augmented alike: their features are compared.
        output, source = self.D.augment(torch.cat((outputs, real.x.detach()), 1)).chunk(2, 1)
        scores, features = self.D.with_features(output)
        _, source_features = self.D.with_features(source)
        identity_loss = perceptual(source_features[-IDENTITY_LAYERS:], features[-IDENTITY_LAYERS:])
        return {
            "gan": gan.generator_loss(scores),
            "identity": c.lambda_identity * identity_loss,
            "tv": c.lambda_tv * total_variation(outputs),
        }

    def discriminator_loss(self, real: UnpairedBatch, outputs: Image) -> LossTerms:
        """L_D."""
        return {"D": gan.discriminator_loss(*discriminate(self.D, real.y, outputs.detach())) / 2}
