"""GANimation (Pumarola, Agudo, Martinez, Sanfeliu, Moreno-Noguer; ECCV 2018): faces driven by action units.

    x, a        real face (n, 3, h, w) in [-1, 1], and its action units (n, m) in [0, 1]
    t           target action units, jittered
    G(x, t)     attention-guided generator; returns G_y, M_y, R_y. The paper's attention A is what is kept: A = 1 - M,
                with M as in AGGAN's Eq. 1. R is the paper's colour mask C. G(G_y, a) has the mask M_x
    D, D_au     discriminator: scores of patches, and action units
    u           random points between real and fake images

    Eq. 1   L_I   = E[D(G_y)] - E[D(x)] + lambda_gp * E[(||grad D(u)||_2 - 1)^2]
    Eq. 2   L_A   = lambda_attention * {E[1 - M_y] + E[1 - M_x]} + lambda_tv * {L_tv(M_y) + L_tv(M_x)}
    Eq. 3   L_au  = E[(D_au(G_y) - t)^2] for G, E[(D_au(x) - a)^2] for D
    Eq. 4   L_id  = E[||G(G_y, a) - x||_1]

    L_D = L_I + lambda_units * L_au, where the gradient penalty has an optimizer step of its own
    L_G = -E[D(G_y)] + L_A + lambda_units * L_au + lambda_cycle * L_id

Written from the paper. Where the data have no action units, a code is the one-hot expression.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.data.action_units import GREATEST, UNITS
from aggan.errors import UserError
from aggan.losses import gradient_penalty, l1, regression, total_variation
from aggan.losses import wasserstein as gan
from aggan.methods.base import (
    About,
    LossTerms,
    ManyDomainMethod,
    MethodConfig,
    Task,
    Update,
    every,
    require_multiple_of_64,
)
from aggan.nn.discriminators import DomainDiscriminator
from aggan.nn.generators import STARGAN, AttentionGenerator, stargan_trunk
from aggan.nn.init import init_normal
from aggan.types import Code, Image, LabelledBatch, Mask, Needs, Translation

JITTER = 0.1
"""Targets are jittered by at most this, so the generator also learns codes between the known expressions."""


class Config(MethodConfig):
    """The defaults are the paper's, per image: its code divides by a batch size of 25, or sums over the batch."""

    method: Literal["ganimation"] = "ganimation"
    about: ClassVar[About] = About("GANimation", "Pumarola et al.; ECCV 2018")
    needs: ClassVar[Needs] = Needs.ACTION_UNITS

    lambda_units: float = Field(
        default=160.0, ge=0, description="Weight of the error of the action units (Eq. 3), 4000 / 25."
    )
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the identity loss (Eq. 4).")
    lambda_attention: float = Field(default=0.1, ge=0, description="Weight of the mean of the attention A (Eq. 2).")
    lambda_tv: float = Field(
        default=2.5e-4, ge=0, description="Weight of the attention's total variation (Eq. 2), 1e-5 * 25."
    )
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty (Eq. 1).")
    critic_steps: int = Field(default=5, ge=1, description="Discriminator steps per generator step.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of the discriminator's first layer.")
    released_init: bool = Field(
        default=False, description="The released code's initial weights, N(0, 0.02); else those of docs/decisions/0007."
    )

    def build(self, task: Task) -> "GANimation":
        require_multiple_of_64(task, "ganimation")
        return GANimation(self, task)


class GANimationOutputs(NamedTuple):
    """The translation of a step, and its jittered target codes t."""

    translation: Translation
    target: Code


class GANimation(ManyDomainMethod[GANimationOutputs]):
    """An attention-guided generator, conditioned on action units, and StarGAN's discriminator."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        trunk = stargan_trunk(config.generator_width, config.generator_blocks)
        self.G = AttentionGenerator(trunk, STARGAN, nn.Tanh(), code_length=m)
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width)
        if config.released_init:
            init_normal(self, norms=False)
        else:
            self.D.init_weights()
            init_normal(self.G)

    def generate(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def require_target(self, to: str) -> None:
        """Targets are domains, action units as in `AU6=3,AU12=4`, and points between two: `neutral>happy@0.5`."""
        self.code_of(to)

    def code_of(self, to: str) -> Float[Tensor, " m"]:
        """The code of a target. Raises `UserError` if it is none."""
        start, arrow, rest = to.partition(">")
        if arrow:
            end, _, fraction = rest.partition("@")
            return torch.lerp(self.code_of(start), self.code_of(end), _parse_number(fraction or "1", to))
        return self._code_of_units(to) if to.startswith("AU") and "=" in to else self._code_of_domain(to)

    def _code_of_domain(self, name: str) -> Float[Tensor, " m"]:
        super().require_target(name)
        return super().code_of(name)

    def _code_of_units(self, to: str) -> Float[Tensor, " m"]:
        """Units that are not named are 0."""
        if self.codes.shape[1] != len(UNITS):
            raise UserError(f"{to}: this model learned expressions, not action units")
        names = [f"AU{number}" for number in UNITS]
        code = torch.zeros_like(self.codes[0])
        for part in to.split(","):
            name, _, intensity = part.strip().partition("=")
            if name not in names:
                raise UserError(f"{to}: no action unit {name!r}; there are {', '.join(names)}")
            code[names.index(name)] = _parse_number(intensity, to) / GREATEST
        return code

    def updates(self) -> tuple[Update[LabelledBatch, GANimationOutputs], ...]:
        return (
            Update("discriminator", self.discriminator_loss, ("D",)),
            Update("penalty", self.penalty, ("D",)),
            Update("generator", self.generator_loss, ("G",), when=every(self.config.critic_steps)),
        )

    def forward(self, batch: LabelledBatch) -> GANimationOutputs:
        target = batch.target + JITTER * (2 * torch.rand_like(batch.target) - 1)
        return GANimationOutputs(self.G(batch.image, target), target)

    def discriminator_loss(self, real: LabelledBatch, outputs: GANimationOutputs) -> LossTerms:
        """L_D without the gradient penalty."""
        real_scores, fake_scores, units = self.D.compare(real.image, outputs.translation.image.detach())
        return {
            "D": gan.discriminator_loss(real_scores, fake_scores),  # Eq. 1
            "D units": self.config.lambda_units * regression(units, real.code),  # Eq. 3
        }

    def penalty(self, real: LabelledBatch, outputs: GANimationOutputs) -> LossTerms:
        """The gradient penalty of Eq. 1."""
        penalty = gradient_penalty(lambda u: self.D(u)[0], real.image, outputs.translation.image)
        return {"D penalty": self.config.lambda_gp * penalty}

    def generator_loss(self, real: LabelledBatch, outputs: GANimationOutputs) -> LossTerms:
        """L_G."""
        c = self.config
        G_y, M_y, _ = outputs.translation.attended()
        reconstruction, M_x, _ = self.generate(G_y, real.code).attended()
        scores, units = self.D(G_y)
        attention_loss = (1 - M_y).mean() + (1 - M_x).mean()
        return {
            "gan": gan.generator_loss(scores),  # Eq. 1
            "units": c.lambda_units * regression(units, outputs.target),  # Eq. 3
            "cycle": c.lambda_cycle * l1(reconstruction, real.image),  # Eq. 4
            "attention": c.lambda_attention * attention_loss,  # Eq. 2
            "tv": c.lambda_tv * (total_variation(M_y) + total_variation(M_x)),  # Eq. 2
        }

    def masks(self, outputs: GANimationOutputs) -> dict[str, Mask]:
        _, M_y, _ = outputs.translation.attended()
        return {"M": M_y}


def _parse_number(text: str, target: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{target}: {text!r} is not a number") from None
