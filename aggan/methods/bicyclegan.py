"""BicycleGAN (Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman; NIPS 2017): several translations of one image.

    x, y      image and ground truth, (n, 3, h, w) in [-1, 1] (the paper's A and B)
    z         latent code (n, latent) from N(0, 1), for everything that x leaves open
    E(y)      encoder: returns the mean and the log variance of a Gaussian over z; E_mean is its mean
    z_y       a sample of E(y)
    G(x, z)   generator
    D, D_2    discriminators of G(x, z_y) and of G(x, z), each on two scales

    Eq. 2   L_GAN(D)    = E[(D(y) - 1)^2] + E[D(G(x, z_y))^2]
    Eq. 3   L_1         = E[||y - G(x, z_y)||_1]
    Eq. 4   L_KL        = KL(E(y) || N(0, 1))
    Eq. 5   L_GAN(D_2)  = E[(D_2(y) - 1)^2] + E[D_2(G(x, z))^2]
    Eq. 6   L_latent    = E[||z - E_mean(G(x, z))||_1]

    L_G, L_E = E[(D(G(x, z_y)) - 1)^2] + E[(D_2(G(x, z)) - 1)^2]
               + lambda_l1 * L_1 + lambda_kl * L_KL + lambda_z * L_latent

Adversarial losses are summed over the scales. Only G learns from L_latent. As in the released code, the first half of a
batch gives x and y, and the second half gives the real images of D_2. The code has no dropout by default, but all of
its training scripts turn it on (`dropout`, and the recipe `native`).
"""

from collections.abc import Iterable
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.losses import kl_to_standard_normal, l1
from aggan.losses import least_squares as gan
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
from aggan.nn.discriminators import PatchDiscriminator
from aggan.nn.encoders import GaussianEncoder, reparameterize
from aggan.nn.freeze import frozen
from aggan.nn.init import init_xavier
from aggan.nn.layer_spec import InstanceNorm, Style
from aggan.nn.unet import UNet, UNetStyle, count_halvings
from aggan.types import Code, Image, Needs, PairedBatch, Translation


class Config(MethodConfig):
    """The defaults are those of the released code."""

    method: Literal["bicyclegan"] = "bicyclegan"
    about: ClassVar[About] = About("BicycleGAN", "Zhu, Zhang, Pathak et al.; NIPS 2017")
    needs: ClassVar[Needs] = Needs.PAIRED

    lambda_l1: float = Field(default=10.0, ge=0, description="Weight of the L1 loss (Eq. 3).")
    lambda_kl: float = Field(default=0.01, ge=0, description="Weight of the KL divergence from N(0, 1) (Eq. 4).")
    lambda_z: float = Field(default=0.5, ge=0, description="Weight of the latent regression loss (Eq. 6).")
    latent: int = Field(default=8, ge=1, description="Length of the latent code z.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    discriminator_width: int = Field(
        default=64, ge=2, description="Filters of a discriminator's first layer; half as many on the coarse scale."
    )
    encoder_width: int = Field(default=64, ge=1, description="Filters of the encoder's first layer.")
    dropout: bool = Field(
        default=False, description="Dropout in the generator during training, as in the released training scripts."
    )

    def require_batch(self, batch: int) -> None:
        if batch % 2:
            raise UserError("bicyclegan splits its batches in halves: set --training.batch to an even number")

    def build(self, task: Task) -> "BicycleGAN":
        require_two_domains(task, "bicyclegan")
        require_size(task, "bicyclegan", count_halvings(task.size) >= 6, "64, 128, 256, ...")
        return BicycleGAN(self, task)


class TwoScales(nn.Module):
    """PatchGANs of an image and of the image at half its size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        style = Style(slope=0.2)
        self.fine, self.coarse = PatchDiscriminator(3, width, style), PatchDiscriminator(3, width // 2, style)

    def forward(self, image: Image) -> tuple[Float[Tensor, "n 1 h1 w1"], Float[Tensor, "n 1 h2 w2"]]:
        return self.fine(image), self.coarse(F.avg_pool2d(image, 3, 2, 1, count_include_pad=False))


class BicycleOutputs(NamedTuple):
    """The images and codes of a step, from the first half of the batch."""

    encoded: Image
    """G(x, z_y)."""
    random: Image
    """G(x, z)."""
    z: Code
    mean: Code
    """Mean of E(y)."""
    log_variance: Code
    """Log variance of E(y)."""


class BicycleGAN(PairedMethod[BicycleOutputs]):
    """cVAE-GAN (Eqs. 2 to 4) and cLR-GAN (Eqs. 5 and 6) together."""

    fixed_size = True
    stochastic = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        levels = count_halvings(task.size)
        generator_style = UNetStyle(
            InstanceNorm,
            width=config.generator_width,
            code_length=config.latent,
            dropout=frozenset(range(1, levels - 4)) if config.dropout else frozenset(),
            dropout_in_translation=False,
        )
        self.G = UNet(levels, generator_style)
        self.E = GaussianEncoder(levels - 4, config.latent, config.encoder_width)
        self.D, self.D_2 = TwoScales(config.discriminator_width), TwoScales(config.discriminator_width)
        init_xavier(self)

    def updates(self) -> tuple[Update[PairedBatch, BicycleOutputs], ...]:
        return (
            Update("generator", self.generator_loss, ("G", "E")),
            Update("discriminators", self.discriminator_loss, ("D", "D_2")),
        )

    def forward(self, batch: PairedBatch) -> BicycleOutputs:
        x, y = (images[: len(images) // 2] for images in batch)
        mean, log_variance = self.E(y)
        z = torch.randn_like(mean)
        encoded = self.G(x, reparameterize(mean, log_variance))
        return BicycleOutputs(encoded, self.G(x, z), z, mean, log_variance)

    def generator_loss(self, real: PairedBatch, outputs: BicycleOutputs) -> LossTerms:
        """L_G and L_E."""
        c = self.config
        with frozen(self.E):  # only G learns from the latent loss
            mean, _ = self.E(outputs.random)
        y = real.y[: len(outputs.encoded)]
        return {
            "gan": sum_over_scales(gan.generator_loss(scores) for scores in self.D(outputs.encoded)),  # Eq. 2
            "gan random": sum_over_scales(gan.generator_loss(scores) for scores in self.D_2(outputs.random)),  # Eq. 5
            "l1": c.lambda_l1 * l1(outputs.encoded, y),  # Eq. 3
            "kl": c.lambda_kl * kl_to_standard_normal(outputs.mean, outputs.log_variance),  # Eq. 4
            "latent": c.lambda_z * l1(mean, outputs.z),  # Eq. 6
        }

    def discriminator_loss(self, real: PairedBatch, outputs: BicycleOutputs) -> LossTerms:
        """Eqs. 2 and 5."""
        first, second = real.y.chunk(2)
        return {
            "D": two_scale_loss(self.D, first, outputs.encoded),
            "D_2": two_scale_loss(self.D_2, second, outputs.random),
        }

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """One of many translations: each call draws a new z."""
        z = torch.randn(len(image), self.config.latent, device=image.device)
        return Translation(self.G(image, z))


def two_scale_loss(D: TwoScales, real: Image, fake: Image) -> Float[Tensor, ""]:
    """The discriminator's loss, summed over the scales."""
    scales = zip(D(real), D(fake.detach()), strict=True)
    return sum_over_scales(gan.discriminator_loss(real_scores, fake_scores) for real_scores, fake_scores in scales)


def sum_over_scales(terms: Iterable[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """The sum of the losses of the scales."""
    return torch.stack(list(terms)).sum()
