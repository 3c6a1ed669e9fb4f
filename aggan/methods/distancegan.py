"""DistanceGAN, alone and with cycles, and Self Distance (Benaim, Wolf; NIPS 2017).

d      distance of two pictures of a batch, or of the two halves of one picture
m, s   mean and deviation of d in a domain, estimated once before the training
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.losses import across, l1, within
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Crossed, Task, Terms, Turn, TwoWay, require_size, require_two
from aggan.nn.discriminators import PatchDiscriminator, verdicts
from aggan.nn.generators import ResNetGenerator, resnet
from aggan.nn.image_pool import Pool
from aggan.nn.init import initialise
from aggan.nn.layer_spec import AffineInstanceNorm, Style
from aggan.types import Image, Unpaired

DISTANCES = {"across": across, "within": within}


class Config(base.Config):
    """The released settings."""

    system: Literal["distancegan"] = "distancegan"
    about: ClassVar[About] = About("DistanceGAN", "Benaim, Wolf; NIPS 2017")

    distance: Literal["across", "within"] = Field(
        default="across", description="Between the pictures of a batch, or between a picture's halves (Self Distance)."
    )
    lambda_distance: float = Field(default=1.0, ge=0, description="Weight of the distance losses (Eq. 2; 5).")
    lambda_cycle: float = Field(default=0.0, ge=0, description="Weight of the cycle loss; 10 in Dist.+Cycle.")
    pool: int = Field(default=50, ge=0)
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=9, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def require_batch(self, batch: int) -> None:
        if self.distance == "across" and batch < 2:
            raise UserError("distancegan compares the pictures of a batch: set --training.batch to 2 or more")

    def build(self, task: Task) -> "DistanceGAN":
        require_two(task, "distancegan")
        require_size(task, "distancegan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return DistanceGAN(self, task)


class DistanceGAN(TwoWay):
    """Pictures that are far apart stay far apart when they are translated."""

    x_distance: Tensor
    y_distance: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.distance = DISTANCES[config.distance]
        trunk = resnet(config.generator_width, config.generator_blocks)
        style = Style(AffineInstanceNorm, border="zeros")
        self.G_xy, self.G_yx = (ResNetGenerator(trunk, style, nn.Tanh()) for _ in range(2))
        critic = Style(AffineInstanceNorm, slope=0.2, padding=2)
        self.D_x, self.D_y = (PatchDiscriminator(3, config.discriminator_width, critic) for _ in range(2))
        self.past_x, self.past_y = Pool(config.pool), Pool(config.pool)
        for domain in ("x", "y"):
            self.register_buffer(f"{domain}_distance", torch.tensor((0.0, 1.0)))
        initialise(self)

    @torch.no_grad()
    def prepare(self, batches: Iterable[Unpaired]) -> None:
        """Mean and deviation of the distances in each domain."""
        pairs = [(self.distance(batch.x), self.distance(batch.y)) for batch in batches]
        for mine, found in zip((self.x_distance, self.y_distance), zip(*pairs, strict=True), strict=True):
            mine.copy_(torch.stack((torch.cat(found).mean(), torch.cat(found).std().clamp(min=1e-6))))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generators", self.generator_loss, ("G_xy", "G_yx")),
            Turn("discriminators", self.discriminator_loss, ("D_x", "D_y")),
        )

    def generator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        c = self.config
        there = self._kept(real.x, self.x_distance, made.y, self.y_distance)
        back = self._kept(real.y, self.y_distance, made.x, self.x_distance)
        terms = {
            "gan": gan.fool(self.D_y(made.y)) + gan.fool(self.D_x(made.x)),
            "distance": c.lambda_distance * (there + back),  # Eq. 2 across pictures, Eq. 5 within
        }
        if c.lambda_cycle:
            terms["cycle"] = c.lambda_cycle * (l1(self.G_yx(made.y), real.x) + l1(self.G_xy(made.x), real.y))
        return terms

    def _kept(self, source: Image, scale: Tensor, made: Image, made_scale: Tensor) -> Tensor:
        before = (self.distance(source) - scale[0]) / scale[1]
        after = (self.distance(made) - made_scale[0]) / made_scale[1]
        return (before - after).abs().mean()

    def discriminator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        (G_y,), (G_x,) = self.past_y(made.y), self.past_x(made.x)
        return {
            "D_y": gan.judge(*verdicts(self.D_y, real.y, G_y)) / 2,
            "D_x": gan.judge(*verdicts(self.D_x, real.x, G_x)) / 2,
        }
