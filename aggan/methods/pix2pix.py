"""Pix2pix, and its Encoder-Decoder without skip connections (Isola, Zhu, Zhou, Efros; CVPR 2017).

    x, y       image and ground truth, (n, 3, h, w) in [-1, 1]
    G(x)       generator, a U-Net; its only noise is dropout
    D(x, y)    discriminator, logits of 70x70 patches of [x, y], (n, 6, h, w); s is the sigmoid

    Eq. 1   L_cGAN = E[log s(D(x, y))] + E[log(1 - s(D(x, G(x))))]
    Eq. 3   L_L1   = E[||y - G(x)||_1]

    L_D = -1/2 * L_cGAN
    L_G = -E[log s(D(x, G(x)))] + lambda_l1 * L_L1

The generator's adversarial loss is the non-saturating one. Dropout follows the decoder's layers with outputs of 4, 8
and 16 px in Pix2pix, as in its PyTorch code, and 2, 4 and 8 px in the Encoder-Decoder, as in its first release.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.losses import cross_entropy as gan
from aggan.losses import l1
from aggan.methods.base import (
    About,
    LossTerms,
    MethodConfig,
    PairedMethod,
    Task,
    Update,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import ConvDiscriminator, patch_tower
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style, untracked_batch_norm
from aggan.nn.unet import UNet, UNetStyle, count_halvings
from aggan.types import Image, Needs, PairedBatch


class Config(MethodConfig):
    """The defaults are those of the released code; `skips=False` is the encoder-decoder of its first release."""

    method: Literal["pix2pix"] = "pix2pix"
    about: ClassVar[About] = About("Pix2pix", "Isola, Zhu, Zhou, Efros; CVPR 2017")
    needs: ClassVar[Needs] = Needs.PAIRED

    lambda_l1: float = Field(default=100.0, ge=0, description="Weight of the L1 loss (Eqs. 3, 4).")
    skips: bool = Field(default=True, description="Skip connections between encoder and decoder.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of the discriminator's first layer.")

    def build(self, task: Task) -> "Pix2pix":
        require_two_domains(task, "pix2pix")
        require_size(task, "pix2pix", count_halvings(task.size) >= 5, "32, 64, 128, 256, ...")
        return Pix2pix(self, task)


class Pix2pix(PairedMethod[Image]):
    """A U-Net and a discriminator that sees input and output together. Dropout stays on during translation."""

    fixed_size = True
    stochastic = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        levels = count_halvings(task.size)
        first = 1 if config.skips else 0
        generator_style = UNetStyle(
            untracked_batch_norm,
            width=config.generator_width,
            skips=config.skips,
            bias=not config.skips,
            dropout=frozenset(range(first, first + min(3, levels - 5))),  # small images have fewer of these layers
        )
        self.G = UNet(levels, generator_style)
        width = config.discriminator_width
        style = Style(untracked_batch_norm, slope=0.2, bias=not config.skips)
        self.D = ConvDiscriminator(6, patch_tower(width), style, nn.Conv2d(8 * width, 1, 4, padding=1))
        init_normal(self)

    def updates(self) -> tuple[Update[PairedBatch, Image], ...]:
        return (
            Update(
                "discriminator", self.discriminator_loss, ("D",), real_inputs=lambda real, _: {"D": concat_pair(*real)}
            ),
            Update("generator", self.generator_loss, ("G",)),
        )

    def forward(self, batch: PairedBatch) -> Image:
        return self.G(batch.x)

    def discriminator_loss(self, real: PairedBatch, outputs: Image) -> LossTerms:
        """L_D."""
        real_scores = self.D(concat_pair(real.x, real.y))
        fake_scores = self.D(concat_pair(real.x, outputs.detach()))
        return {"D": gan.discriminator_loss(real_scores, fake_scores) / 2}  # Eq. 1

    def generator_loss(self, real: PairedBatch, outputs: Image) -> LossTerms:
        """L_G."""
        return {
            "gan": gan.generator_loss(self.D(concat_pair(real.x, outputs))),  # Eq. 1
            "l1": self.config.lambda_l1 * l1(outputs, real.y),  # Eq. 3
        }


def concat_pair(x: Image, y: Image) -> Float[Tensor, "n 6 h w"]:
    """[x, y]."""
    return torch.cat((x, y), dim=1)
