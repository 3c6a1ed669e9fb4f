"""DistanceGAN, with and without cycles, and Self Distance (Benaim, Wolf; NIPS 2017).

    x, y          real images of the domains X and Y, (n, 3, h, w) in [-1, 1]
    G_xy, G_yx    generators; G_y = G_xy(x), G_x = G_yx(y)
    D_x, D_y      discriminators of patches
    d             distances: d_ij = mean |x_i - x_j| of two images of a batch,
                  or of the top and the bottom half of one image (Self Distance)
    m_x, s_x      mean and standard deviation of d in X, measured once before the training; m_y, s_y in Y

    Eq. 2     L_distance(x) = E[|(d(x) - m_x) / s_x - (d(G_y) - m_y) / s_y|]                and of y, with G_x
    Eq. 5     the same for the halves of an image

    L_G = E[(D_y(G_y) - 1)^2] + E[(D_x(G_x) - 1)^2] + lambda_distance * {L_distance(x) + L_distance(y)}
          + lambda_cycle * {E[||G_yx(G_y) - x||_1] + E[||G_xy(G_x) - y||_1]}
    L_D = 1/2 * {E[(D_y(y) - 1)^2] + E[D_y(G_y)^2]} + 1/2 * {E[(D_x(x) - 1)^2] + E[D_x(G_x)^2]}

The paper also trains one direction alone; as in the released code, both are trained here. The code measures m and s on
distances between whole batches, not on pairs of images. With batches of two its s is smaller by about sqrt(2) than
here, where s is that of the distances in the loss.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.losses import half_distances, l1, pairwise_distances
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
from aggan.nn.layer_spec import AffineInstanceNorm, Style
from aggan.types import Image, Needs, UnpairedBatch

DISTANCES = {"across": pairwise_distances, "within": half_distances}
SMALLEST_STD = 1e-6
"""Keeps the division by a standard deviation finite."""


class Config(MethodConfig):
    """The defaults are those of the released code."""

    method: Literal["distancegan"] = "distancegan"
    about: ClassVar[About] = About("DistanceGAN", "Benaim, Wolf; NIPS 2017")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    distance: Literal["across", "within"] = Field(
        default="across",
        description="Distances across the images of a batch, or within an image, between its halves (Self Distance).",
    )
    lambda_distance: float = Field(default=1.0, ge=0, description="Weight of the distance losses (Eqs. 2, 5).")
    lambda_cycle: float = Field(
        default=0.0, ge=0, description="Weight of the cycle-consistency loss; 10 in Dist.+Cycle, 0 in DistanceGAN."
    )
    pool: int = Field(default=50, ge=0, description="Size of the image pool for the discriminators.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=9, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def require_batch(self, batch: int) -> None:
        if self.distance == "across" and batch < 2:
            raise UserError("distancegan compares the images of a batch: set --training.batch to 2 or more")

    def build(self, task: Task) -> "DistanceGAN":
        require_two_domains(task, "distancegan")
        require_size(task, "distancegan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return DistanceGAN(self, task)


class DistanceGAN(TwoWayMethod):
    """Images that are far apart must stay far apart when they are translated."""

    adaptive_augmentation = True
    x_stats: Float[Tensor, " 2"]
    """m_x and s_x."""
    y_stats: Float[Tensor, " 2"]
    """m_y and s_y."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.distance = DISTANCES[config.distance]
        trunk = resnet_trunk(config.generator_width, config.generator_blocks)
        style = Style(AffineInstanceNorm, padding_mode="zeros")
        self.G_xy, self.G_yx = (ResNetGenerator(trunk, style, nn.Tanh()) for _ in range(2))
        style = Style(AffineInstanceNorm, slope=0.2, padding=2)
        self.D_x, self.D_y = (PatchDiscriminator(3, config.discriminator_width, style) for _ in range(2))
        self.pool_x, self.pool_y = ImagePool(config.pool), ImagePool(config.pool)
        for name in ("x_stats", "y_stats"):
            self.register_buffer(name, torch.tensor((0.0, 1.0)))
        init_normal(self)

    @torch.no_grad()
    def prepare(self, batches: Iterable[UnpairedBatch]) -> None:
        """Measure the mean and the standard deviation of the distances in each domain."""
        # The distances are those of the loss: single pairs. The released code takes whole batches (see above).
        distances = [(self.distance(batch.x), self.distance(batch.y)) for batch in batches]
        for stats, batch_distances in zip((self.x_stats, self.y_stats), zip(*distances, strict=True), strict=True):
            d = torch.cat(batch_distances)
            stats.copy_(torch.stack((d.mean(), d.std().clamp(min=SMALLEST_STD))))

    def updates(self) -> tuple[Update[UnpairedBatch, TwoWayOutputs], ...]:
        return (
            Update("generators", self.generator_loss, ("G_xy", "G_yx")),
            Update("discriminators", self.discriminator_loss, ("D_x", "D_y"), real_inputs=real_of_both),
        )

    def generator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_G."""
        c = self.config
        G_y, G_x = outputs
        x_loss = self._distance_loss(real.x, self.x_stats, G_y, self.y_stats)
        y_loss = self._distance_loss(real.y, self.y_stats, G_x, self.x_stats)
        terms = {
            "gan": gan.generator_loss(self.D_y(G_y)) + gan.generator_loss(self.D_x(G_x)),
            "distance": c.lambda_distance * (x_loss + y_loss),  # Eq. 2 across images, Eq. 5 within
        }
        if c.lambda_cycle:
            terms["cycle"] = c.lambda_cycle * (l1(self.G_yx(G_y), real.x) + l1(self.G_xy(G_x), real.y))
        return terms

    def _distance_loss(
        self, source: Image, source_stats: Float[Tensor, " 2"], output: Image, output_stats: Float[Tensor, " 2"]
    ) -> Float[Tensor, ""]:
        source_mean, source_std = source_stats
        output_mean, output_std = output_stats
        source_distances = (self.distance(source) - source_mean) / source_std
        output_distances = (self.distance(output) - output_mean) / output_std
        return (source_distances - output_distances).abs().mean()

    def discriminator_loss(self, real: UnpairedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_D on images of the pools."""
        (G_y,), (G_x,) = self.pool_y(outputs.y), self.pool_x(outputs.x)
        return {
            "D_y": gan.discriminator_loss(*discriminate(self.D_y, real.y, G_y)) / 2,
            "D_x": gan.discriminator_loss(*discriminate(self.D_x, real.x, G_x)) / 2,
        }
