"""StarGAN (Choi, Choi, Kim, Ha, Kim, Choo; CVPR 2018): one generator and one discriminator for all domains.

x, c       a picture and the code of its domain (the paper's c'); target: the paper's c
G(x, c)    generator; the code enters as constant maps
D          how real patches are, and which domain the picture is of
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from aggan.losses import classification, gradient_penalty, l1
from aggan.losses import wasserstein as gan
from aggan.methods import base
from aggan.methods.base import About, ManyDomains, Task, Terms, Turn, every, require_size
from aggan.nn.discriminators import DomainDiscriminator
from aggan.nn.generators import STARGAN, ResNetGenerator, stargan_trunk
from aggan.nn.init import initialise
from aggan.types import Code, Image, Labelled, Translation, whole


class Config(base.Config):
    """The paper's settings (Sec. 4 and 5); domains exclude each other, as on RaFD."""

    system: Literal["stargan"] = "stargan"
    about: ClassVar[About] = About("StarGAN", "Choi, Choi, Kim, Ha, Kim, Choo; CVPR 2018", "domains")

    lambda_cls: float = Field(default=1.0, ge=0, description="Weight of the domain classification (Eqs. 2, 3).")
    lambda_rec: float = Field(default=10.0, ge=0, description="Weight of the reconstruction (Eq. 4).")
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty (Eq. 8).")
    critic_steps: int = Field(default=5, ge=1, description="Steps of the discriminator to one of the generator.")
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=6, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "StarGAN":
        require_size(task, "stargan", task.size >= 64 and task.size % 64 == 0, "64, 128, 192, 256, ...")
        return StarGAN(self, task)


class StarGAN(ManyDomains):
    """The discriminator's reading of the domain teaches the generator."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        self.G = ResNetGenerator(
            stargan_trunk(config.generator_width, config.generator_blocks), STARGAN, nn.Tanh(), codes=m
        )
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width)
        initialise(self.G)

    def make(self, image: Image, code: Code) -> Translation:
        return whole(self.G(image, code))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("discriminator", self.discriminator_loss, ("D",)),
            Turn("generator", self.generator_loss, ("G",), due=every(self.config.critic_steps)),
        )

    def forward(self, batch: Labelled) -> Image:
        return self.G(batch.image, batch.target)

    def discriminator_loss(self, real: Labelled, fake: Image) -> Terms:
        of_real, of_fake, logits = self.D.compare(real.image, fake.detach())
        return {
            "D": gan.judge(of_real, of_fake),  # Eq. 8
            "D penalty": self.config.lambda_gp * gradient_penalty(self._verdict, real.image, fake),  # Eq. 8
            "D cls": self.config.lambda_cls * classification(logits, real.code),  # Eq. 2
        }

    def _verdict(self, image: Image) -> Tensor:
        return self.D(image)[0]

    def generator_loss(self, real: Labelled, fake: Image) -> Terms:
        verdict, logits = self.D(fake)
        return {
            "gan": gan.fool(verdict),  # Eq. 8
            "cls": self.config.lambda_cls * classification(logits, real.target),  # Eq. 3
            "cycle": self.config.lambda_rec * l1(self.G(fake, real.code), real.image),  # Eq. 4
        }
