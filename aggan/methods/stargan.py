"""StarGAN (Choi, Choi, Kim, Ha, Kim, Choo; CVPR 2018): one generator and one discriminator for all domains.

    x, c'       real image (n, 3, h, w) in [-1, 1], and the one-hot code (n, m) of its domain
    c           target code
    G(x, c)     generator; the code enters as constant maps
    D, D_cls    discriminator: scores of patches, and logits (n, m) of the domain
    u           random points between real and fake images; CE is the cross entropy

    Eq. 2   L_cls^r = CE(D_cls(x), c')
    Eq. 3   L_cls^f = CE(D_cls(G(x, c)), c)
    Eq. 4   L_rec   = E[||x - G(G(x, c), c')||_1]
    Eq. 8   L_adv   = E[D(x)] - E[D(G(x, c))] - lambda_gp * E[(||grad D(u)||_2 - 1)^2]
    Eq. 5   L_D     = -L_adv + lambda_cls * L_cls^r
    Eq. 6   L_G     = L_adv + lambda_cls * L_cls^f + lambda_rec * L_rec

D takes `critic_steps` steps for each step of G.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from aggan.losses import classification, gradient_penalty, l1
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
from aggan.nn.generators import STARGAN, PlainGenerator, stargan_trunk
from aggan.nn.init import init_normal
from aggan.types import Code, Image, LabelledBatch, Mask, Needs, Translation


class StarGANConfig(MethodConfig):
    """The defaults are the paper's (Secs. 4 and 5). Each image has exactly one domain, as on RaFD."""

    needs: ClassVar[Needs] = Needs.LABELLED

    lambda_cls: float = Field(default=1.0, ge=0, description="Weight of the domain classification losses (Eqs. 2, 3).")
    lambda_rec: float = Field(default=10.0, ge=0, description="Weight of the reconstruction loss (Eq. 4).")
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty (Eq. 8).")
    critic_steps: int = Field(default=5, ge=1, description="Discriminator steps per generator step.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of the discriminator's first layer.")
    released_init: bool = Field(
        default=False,
        description="The released code's initial weights, PyTorch's own; else those of docs/decisions/0007.",
    )

    @abstractmethod
    def build_generator(self, code_length: int) -> nn.Module:
        """From images (n, 3, h, w) and codes (n, m) to translations."""


class Config(StarGANConfig):
    """StarGAN's own generator."""

    method: Literal["stargan"] = "stargan"
    about: ClassVar[About] = About("StarGAN", "Choi, Choi, Kim, Ha, Kim, Choo; CVPR 2018")

    def build_generator(self, code_length: int) -> PlainGenerator:
        trunk = stargan_trunk(self.generator_width, self.generator_blocks)
        return PlainGenerator(trunk, STARGAN, nn.Tanh(), code_length)

    def build(self, task: Task) -> "StarGAN":
        require_multiple_of_64(task, "stargan")
        return StarGAN(self, task)


class StarGAN(ManyDomainMethod[Translation]):
    """A conditional generator, and a discriminator that also classifies the domain."""

    def __init__(self, config: StarGANConfig, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        self.G = config.build_generator(m)
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width)
        if not config.released_init:  # which keeps PyTorch's
            self.D.init_weights()
            init_normal(self.G)

    def generate(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def updates(self) -> tuple[Update[LabelledBatch, Translation], ...]:
        return (
            Update("discriminator", self.discriminator_loss, ("D",)),
            Update("generator", self.generator_loss, ("G",), when=every(self.config.critic_steps)),
        )

    def forward(self, batch: LabelledBatch) -> Translation:
        return self.G(batch.image, batch.target)

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """Eq. 5."""
        c, fake = self.config, outputs.image.detach()
        real_scores, fake_scores, logits = self.D.compare(real.image, fake)
        return {
            "D": gan.discriminator_loss(real_scores, fake_scores),  # Eq. 8
            "D penalty": c.lambda_gp * gradient_penalty(lambda u: self.D(u)[0], real.image, fake),  # Eq. 8
            "D cls": c.lambda_cls * classification(logits, real.code),  # Eq. 2
        }

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """Eq. 6, without the terms that do not depend on G."""
        c, fake = self.config, outputs.image
        scores, logits = self.D(fake)
        return {
            "gan": gan.generator_loss(scores),  # Eq. 8
            "cls": c.lambda_cls * classification(logits, real.target),  # Eq. 3
            "cycle": c.lambda_rec * l1(self.G(fake, real.code).image, real.image),  # Eq. 4
        }

    def masks(self, outputs: Translation) -> dict[str, Mask]:
        return {} if outputs.mask is None else {"M": outputs.mask}
