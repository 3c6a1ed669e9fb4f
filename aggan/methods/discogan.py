"""DiscoGAN (Kim, Cha, Kim, Lee, Kim; ICML 2017): cross-domain relations from reconstruction and feature matching.

    x, y          real images of the domains X and Y, (n, 3, h, w) in [-1, 1]
    G_xy, G_yx    generators; G_y = G_xy(x), G_x = G_yx(y)
    D_x, D_y      discriminators, logits of patches; s is the sigmoid
    f_l           feature maps of the l-th layer of D; l runs over the last three layers of its tower
    r             curriculum: 0.01 for 10,000 steps, then 0.5; AGGAN's curriculum comes from here

    L_GAN(G_y) = -E[log s(D_y(G_y))]                                                        and G_x with D_x
    L_FM(G_y)  = sum_l mean((E[f_l(y)] - E[f_l(G_y)])^2), with E over the batch             and G_x with x
    L_cycle    = E[(G_yx(G_y) - x)^2] + E[(G_xy(G_x) - y)^2], for pixels in [0, 1]
    L_G        = (1 - r) * {lambda_gan * [L_GAN(G_y) + L_GAN(G_x)] + lambda_matching * [L_FM(G_y) + L_FM(G_x)]}
                 + r * L_cycle
    L_D        = 1/2 * {-E[log s(D_y(y))] - E[log(1 - s(D_y(G_y)))]}
                 + 1/2 * {-E[log s(D_x(x))] - E[log(1 - s(D_x(G_x)))]}

Networks, weights and curriculum are those of the released code. The factor 1/2 matters beside the weight decay of the
recipe `native`. Every third step updates the discriminators, the others update the generators.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.losses import cross_entropy as gan
from aggan.losses import feature_matching
from aggan.methods.base import (
    About,
    LossTerms,
    MethodConfig,
    Progress,
    Task,
    TwoWayMethod,
    TwoWayOutputs,
    Update,
    real_of_both,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import ConvDiscriminator
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style, build_layers, transposed4
from aggan.types import Image, Needs, UnpairedBatch

BATCH_NORM = Style(nn.BatchNorm2d, slope=0.2, bias=False, bias_without_norm=False)
MATCHED_LAYERS = 3
"""Last layers of a discriminator's tower whose features are matched."""


class Config(MethodConfig):
    """The defaults are those of the released code."""

    method: Literal["discogan"] = "discogan"
    about: ClassVar[About] = About("DiscoGAN", "Kim, Cha, Kim, Lee, Kim; ICML 2017")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    r_early: float = Field(default=0.01, ge=0, le=1, description="r, the weight of the reconstruction, at first.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r, the weight of the reconstruction, afterwards.")
    curriculum_steps: int = Field(default=10_000, ge=0, description="Steps during which r = r_early.")
    lambda_gan: float = Field(default=0.1, ge=0, description="Weight of the adversarial loss.")
    lambda_matching: float = Field(default=0.9, ge=0, description="Weight of the feature-matching loss.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")
    released_init: bool = Field(
        default=False, description="The released code's initial weights, PyTorch's own; else N(0, 0.02)."
    )

    def curriculum(self, progress: Progress) -> float:
        """r."""
        return self.r_early if progress.step < self.curriculum_steps else self.r_late

    def build(self, task: Task) -> "DiscoGAN":
        require_two_domains(task, "discogan")
        require_size(task, "discogan", task.size >= 64 and task.size % 16 == 0, "multiples of 16 from 64 on")
        return DiscoGAN(self, task)


class Generator(nn.Module):
    """Encoder-decoder without skip connections: four halvings, then four doublings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        down, _ = build_layers(f"C{width}+ C{2 * width} C{4 * width} C{8 * width}", 3, BATCH_NORM)
        up = [transposed4(2 * k, k, nn.BatchNorm2d, bias=False) for k in (4 * width, 2 * width, width)]
        self.layers = nn.Sequential(*down, *up, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False))

    def forward(self, image: Image) -> Image:
        """A sigmoid, scaled from [0, 1] to [-1, 1]."""
        return 2 * torch.sigmoid(self.layers(image).float()) - 1


class DiscoGAN(TwoWayMethod):
    """Two generators that must invert each other, and discriminators whose features are matched."""

    fixed_size = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.G_xy, self.G_yx = Generator(config.generator_width), Generator(config.generator_width)
        self.D_x, self.D_y = (build_discriminator(config.discriminator_width) for _ in range(2))
        if not config.released_init:  # which keeps PyTorch's
            init_normal(self)

    def updates(self) -> tuple[Update[UnpairedBatch, TwoWayOutputs], ...]:
        return (
            Update(
                "discriminators",
                self.discriminator_loss,
                ("D_x", "D_y"),
                when=is_discriminator_step,
                real_inputs=real_of_both,
            ),
            Update("generators", self.generator_loss, ("G_xy", "G_yx"), when=is_generator_step),
        )

    def generator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_G."""
        c, r = self.config, self.config.curriculum(self.progress)
        gan_y, matching_y = adversarial_and_matching(self.D_y, real.y, outputs.y)
        gan_x, matching_x = adversarial_and_matching(self.D_x, real.x, outputs.x)
        reconstruction_loss = mse(self.G_yx(outputs.y), real.x) + mse(self.G_xy(outputs.x), real.y)
        return {
            "gan": (1 - r) * c.lambda_gan * (gan_y + gan_x),
            "matching": (1 - r) * c.lambda_matching * (matching_y + matching_x),
            "cycle": r * reconstruction_loss,
        }

    def discriminator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_D."""
        return {
            "D_y": gan.discriminator_loss(self.D_y(real.y), self.D_y(outputs.y.detach())) / 2,
            "D_x": gan.discriminator_loss(self.D_x(real.x), self.D_x(outputs.x.detach())) / 2,
        }


def is_discriminator_step(progress: Progress) -> bool:
    """Every third step, beginning with the first."""
    return progress.step % 3 == 0


def is_generator_step(progress: Progress) -> bool:
    """All other steps."""
    return not is_discriminator_step(progress)


def build_discriminator(width: int) -> ConvDiscriminator:
    """Four halvings, then a score for each patch of 94x94 pixels."""
    tower = f"C{width}+ C{2 * width} C{4 * width} C{8 * width}"
    return ConvDiscriminator(3, tower, BATCH_NORM, nn.Conv2d(8 * width, 1, 4, bias=False))


def adversarial_and_matching(
    D: ConvDiscriminator, real: Image, fake: Image
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """L_GAN and L_FM of one direction."""
    scores, fake_features = D.with_features(D.augment(fake))
    with torch.no_grad():
        _, real_features = D.with_features(D.augment(real))
    matching_loss = feature_matching(real_features[-MATCHED_LAYERS:], fake_features[-MATCHED_LAYERS:])
    return gan.generator_loss(scores), matching_loss


def mse(a: Image, b: Image) -> Float[Tensor, ""]:
    """Mean squared error of images as if in [0, 1], the paper's range."""
    return ((a - b) / 2).square().mean()
