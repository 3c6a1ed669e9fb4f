"""GANimation (Pumarola, Agudo, Martinez, Sanfeliu, Moreno-Noguer; ECCV 2018): faces moved by action units.

    x, a     a face and its action units in [0, 1];  target: those that it is to show
    A        the paper's attention, which is what is kept: A = 1 - M, with M as in Eq. 1 of AGGAN
    C        content (the paper's colour)

Written from the paper. Where the data have no action units, a code is the one-hot expression.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from aggan.data.action_units import GREATEST, UNITS
from aggan.errors import UserError
from aggan.losses import gradient_penalty, l1, regression, total_variation
from aggan.losses import wasserstein as gan
from aggan.methods import base
from aggan.methods.base import About, ManyDomains, Task, Terms, Turn, every, require_size
from aggan.nn.discriminators import DomainDiscriminator
from aggan.nn.generators import STARGAN, AttentionGenerator, stargan_trunk
from aggan.nn.init import initialise
from aggan.types import Code, Image, Labelled, Mask, Translation

JITTER = 0.1
"""Targets are moved by up to so much, so that the space between known expressions is seen."""


class Config(base.Config):
    """The paper's weights; those that its code divides by its batch of 25, or sums over it, are for one picture."""

    system: Literal["ganimation"] = "ganimation"
    about: ClassVar[About] = About("GANimation", "Pumarola et al.; ECCV 2018", "domains, action units")
    codes: ClassVar[bool] = True

    lambda_units: float = Field(default=160.0, ge=0, description="Weight of the action units' error (4000 / 25).")
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the identity loss (Eq. 4).")
    lambda_attention: float = Field(default=0.1, ge=0, description="Weight of the mean attention (Eq. 2).")
    lambda_tv: float = Field(default=2.5e-4, ge=0, description="Weight of its total variation (1e-5 * 25, Eq. 2).")
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty (Eq. 1).")
    critic_steps: int = Field(default=5, ge=1, description="Steps of the discriminator to one of the generator.")
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=6, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "GANimation":
        require_size(task, "ganimation", task.size >= 64 and task.size % 64 == 0, "64, 128, 192, 256, ...")
        return GANimation(self, task)


class GANimation(ManyDomains):
    """Attention keeps what does not move."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        n = task.code_length
        trunk = stargan_trunk(config.generator_width, config.generator_blocks)
        self.G = AttentionGenerator(trunk, STARGAN, nn.Tanh(), codes=n)
        self.D = DomainDiscriminator(task.size, n, config.discriminator_width)
        initialise(self.G)

    def make(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def require_target(self, to: str) -> None:
        """Domains, action units as in `AU6=3,AU12=4`, and what lies between two: `neutral>happy@0.5`."""
        self.code_of(to)

    def code_of(self, to: str) -> Tensor:
        first, way, rest = to.partition(">")
        if way:
            last, _, share = rest.partition("@")
            return torch.lerp(self.code_of(first), self.code_of(last), _number(share or "1", to))
        return self._units(to) if to.startswith("AU") and "=" in to else self._domain(to)

    def _domain(self, name: str) -> Tensor:
        super().require_target(name)
        return super().code_of(name)

    def _units(self, to: str) -> Tensor:
        """Units that are not named are 0."""
        if self.codes.shape[1] != len(UNITS):
            raise UserError(f"{to}: this model learned expressions, not action units")
        code = torch.zeros(len(UNITS))
        for part in to.split(","):
            unit, _, intensity = part.strip().partition("=")
            if unit not in (names := [f"AU{n}" for n in UNITS]):
                raise UserError(f"{to}: no action unit {unit!r}; there are {', '.join(names)}")
            code[names.index(unit)] = _number(intensity, to) / GREATEST
        return code

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("discriminator", self.discriminator_loss, ("D",)),
            Turn("penalty", self.penalty, ("D",)),
            Turn("generator", self.generator_loss, ("G",), due=every(self.config.critic_steps)),
        )

    def forward(self, batch: Labelled) -> tuple[Translation, Code]:
        target = batch.target + JITTER * (2 * torch.rand_like(batch.target) - 1)
        return self.G(batch.image, target), target

    def discriminator_loss(self, real: Labelled, made: tuple[Translation, Code]) -> Terms:
        (fake, *_), _ = made
        of_real, of_fake, units = self.D.compare(real.image, fake.detach())
        return {
            "D": gan.judge(of_real, of_fake),  # Eq. 1
            "D units": self.config.lambda_units * regression(units, real.code),  # Eq. 3
        }

    def penalty(self, real: Labelled, made: tuple[Translation, Code]) -> Terms:
        """A step of its own."""
        fake = made[0].image
        return {"D penalty": self.config.lambda_gp * gradient_penalty(self._verdict, real.image, fake)}  # Eq. 1

    def _verdict(self, image: Image) -> Tensor:
        return self.D(image)[0]

    def generator_loss(self, real: Labelled, made: tuple[Translation, Code]) -> Terms:
        c = self.config
        fake, target = made
        again = self.G(fake.image, real.code)
        verdict, units = self.D(fake.image)
        attention = (1 - fake.mask).mean() + (1 - again.mask).mean()
        return {
            "gan": gan.fool(verdict),  # Eq. 1
            "units": c.lambda_units * regression(units, target),  # Eq. 3
            "cycle": c.lambda_cycle * l1(again.image, real.image),  # Eq. 4
            "attention": c.lambda_attention * attention,  # Eq. 2
            "tv": c.lambda_tv * (total_variation(fake.mask) + total_variation(again.mask)),  # Eq. 2
        }

    def masks(self, made: tuple[Translation, Code]) -> dict[str, Mask]:
        return {"M": made[0].mask}


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: {text!r} is not a number") from None
