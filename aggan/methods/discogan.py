"""DiscoGAN (Kim, Cha, Kim, Lee, Kim; ICML 2017): relations between domains, with feature matching.

r    share of the reconstruction: small for 10,000 steps, then a half; AGGAN's curriculum is this one
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aggan.losses import cross_entropy as gan
from aggan.losses import matching
from aggan.methods import base
from aggan.methods.base import About, Clock, Crossed, Task, Terms, Turn, TwoWay, require_size, require_two
from aggan.nn.discriminators import Critic
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style, layers, transposed4
from aggan.types import Image, Unpaired

BATCH_NORM = Style(nn.BatchNorm2d, slope=0.2, bias=False, bare_bias=False)
JUDGED = 3
"""Layers of the discriminator, counted from its last, whose features are matched."""


class Config(base.Config):
    """The released settings."""

    system: Literal["discogan"] = "discogan"
    about: ClassVar[About] = About("DiscoGAN", "Kim, Cha, Kim, Lee, Kim; ICML 2017")

    r_early: float = Field(default=0.01, ge=0, le=1, description="Share of the reconstruction at first.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="And afterwards.")
    curriculum_steps: int = Field(default=10_000, ge=0, description="So many steps it is r_early.")
    lambda_gan: float = Field(default=0.1, ge=0, description="Weight of the adversarial loss.")
    lambda_matching: float = Field(default=0.9, ge=0, description="Weight of the feature matching.")
    generator_width: int = Field(default=64, ge=1)
    discriminator_width: int = Field(default=64, ge=1)

    def curriculum(self, clock: Clock) -> float:
        """The share of the reconstruction."""
        return self.r_early if clock.step < self.curriculum_steps else self.r_late

    def build(self, task: Task) -> "DiscoGAN":
        require_two(task, "discogan")
        require_size(task, "discogan", task.size >= 64 and task.size % 16 == 0, "multiples of 16 from 64 on")
        return DiscoGAN(self, task)


class Generator(nn.Module):
    """Down to a sixteenth and up again, with nothing in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        down, _ = layers(f"C{width}+ C{2 * width} C{4 * width} C{8 * width}", 3, BATCH_NORM)
        up = [transposed4(2 * w, w, nn.BatchNorm2d, bias=False) for w in (4 * width, 2 * width, width)]
        self.layers = nn.Sequential(*down, *up, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False))

    def forward(self, image: Image) -> Image:
        """A sigmoid between 0 and 1, spread to [-1, 1]."""
        return 2 * torch.sigmoid(self.layers(image).float()) - 1


class DiscoGAN(TwoWay):
    """One step in three is the discriminators'."""

    square = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.G_xy, self.G_yx = Generator(config.generator_width), Generator(config.generator_width)
        w = config.discriminator_width
        tower = f"C{w}+ C{2 * w} C{4 * w} C{8 * w}"
        self.D_x, self.D_y = (Critic(3, tower, BATCH_NORM, nn.Conv2d(8 * w, 1, 4, bias=False)) for _ in range(2))
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("discriminators", self.discriminator_loss, ("D_x", "D_y"), due=lambda clock: clock.step % 3 == 0),
            Turn("generators", self.generator_loss, ("G_xy", "G_yx"), due=lambda clock: clock.step % 3 != 0),
        )

    def generator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        c, r = self.config, self.config.curriculum(self.clock)
        gan_y, matching_y = self._fool(self.D_y, real.y, made.y)
        gan_x, matching_x = self._fool(self.D_x, real.x, made.x)
        again = _squared(self.G_yx(made.y), real.x) + _squared(self.G_xy(made.x), real.y)
        return {
            "gan": (1 - r) * c.lambda_gan * (gan_y + gan_x),
            "matching": (1 - r) * c.lambda_matching * (matching_y + matching_x),
            "cycle": r * again,
        }

    def _fool(self, D: Critic, real: Image, made: Image) -> tuple[Tensor, Tensor]:
        verdict, features = D.look(made)
        with torch.no_grad():
            _, wanted = D.look(real)
        return gan.fool(verdict), matching(wanted[-JUDGED:], features[-JUDGED:])

    def discriminator_loss(self, real: Unpaired, made: Crossed) -> Terms:
        return {
            "D_y": gan.judge(self.D_y(real.y), self.D_y(made.y.detach())),
            "D_x": gan.judge(self.D_x(real.x), self.D_x(made.x.detach())),
        }


def _squared(made: Image, real: Image) -> Tensor:
    """Mean squared error of pictures in [0, 1], as the paper has them."""
    return ((made - real) / 2).square().mean()
