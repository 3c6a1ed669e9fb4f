"""AGGAN for many domains in one model: StarGAN's domain classification around it (AGGAN, Sec. IV-B).

    x, c        a picture and the code of its domain;  target: the domain that it is to show
    G(x, c)     attention-guided generator: G_c, M_c, R_c
    D           how real, and which domain;  D_a the same of [M, picture], attention-guided
    r           curriculum: the share of the reconstruction losses (AGGAN, Eq. 9)

The paper gives no more than that sentence. `aggan-domains` has all of AGGAN's losses, with the
classification among those that say what to make; `aggan-domains-released` is what the authors
released: StarGAN whose generator has an attention mask.
"""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from aggan.errors import UserError
from aggan.losses import classification, gradient_penalty, l1, total_variation
from aggan.losses import wasserstein as gan
from aggan.methods import base
from aggan.methods.base import About, Clock, ManyDomains, Task, Terms, Turn, every, require_size
from aggan.nn.discriminators import DomainDiscriminator, attend
from aggan.nn.generators import CONTENT_BOUNDS, STARGAN, AttentionGenerator, stargan_trunk
from aggan.nn.init import initialise
from aggan.nn.layer_spec import nearest
from aggan.types import Code, Image, Labelled, Mask, Translation


class Config(base.Config):
    """Weights of AGGAN and StarGAN; with r a half, (1 - r) * 2 and r * 20 are StarGAN's 1 and 10."""

    system: Literal["aggan-domains"] = "aggan-domains"
    about: ClassVar[About] = About("AGGAN, many domains", "Tang, Xu, Sebe, Yan; IJCNN 2019", "domains")

    lambda_gan: float = Field(default=2.0, ge=0, description="Weight of the adversarial losses.")
    lambda_cls: float = Field(default=2.0, ge=0, description="Weight of the domain classification.")
    lambda_cycle: float = Field(default=20.0, ge=0, description="Weight of the cycle loss (Eq. 4).")
    lambda_pixel: float = Field(default=2.0, ge=0, description="Weight of the pixel loss (Eq. 5).")
    lambda_tv: float = Field(default=4e-6, ge=0, description="Weight of the attention loss (Eq. 6).")
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty.")
    curriculum_epochs: int = Field(default=10, ge=0, description="So long r is r_early.")
    curriculum_steps: int | None = Field(default=None, ge=0, description="The same in steps, instead.")
    r_early: float = Field(default=0.01, ge=0, le=1, description="r of Eq. 9 at first.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r of Eq. 9 afterwards.")
    lambda_content: float = Field(default=0.0, ge=0, description="Remedy: weight of contents' distance from inputs.")
    critic_steps: int = Field(default=5, ge=1, description="Steps of the discriminators to one of the generator.")
    attention_guided_discriminators: bool = Field(default=True, description="D_a beside D.")
    content: Literal["tanh", "linear"] = "tanh"
    upsampling: Literal["stargan", "nearest"] = "stargan"
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=6, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def curriculum(self, clock: Clock) -> float:
        """r of Eq. 9."""
        early = self.curriculum_steps
        if early is None:
            early = self.curriculum_epochs * clock.steps_per_epoch
        return self.r_early if clock.step < early else self.r_late

    def require_batch(self, batch: int) -> None:
        if self.attention_guided_discriminators and batch < 2:
            raise UserError("aggan-domains shows a picture with the mask of another: set --training.batch to 2 or more")

    def build(self, task: Task) -> "AttentionStar":
        require_size(task, "aggan-domains", task.size >= 64 and task.size % 64 == 0, "64, 128, 192, 256, ...")
        return AGGANDomains(self, task) if self.attention_guided_discriminators else AttentionStar(self, task)


class AttentionStar(ManyDomains):
    """Attention in the generator only."""

    critics: tuple[str, ...] = ("D",)

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        trunk = stargan_trunk(config.generator_width, config.generator_blocks)
        style = STARGAN if config.upsampling == "stargan" else replace(STARGAN, upsampling=nearest)
        self.G = AttentionGenerator(trunk, style, CONTENT_BOUNDS[config.content](), codes=m)
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width)
        initialise(self.G)

    def make(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("discriminators", self.discriminator_loss, self.critics),
            Turn("generator", self.generator_loss, ("G",), due=every(self.config.critic_steps)),
        )

    def forward(self, batch: Labelled) -> Translation:
        return self.G(batch.image, batch.target)

    def discriminator_loss(self, real: Labelled, made: Translation) -> Terms:
        return self.judge("D", self.D, real, real.image, made.image.detach())

    def judge(self, name: str, D: DomainDiscriminator, real: Labelled, seen: Tensor, fake: Tensor) -> Terms:
        """StarGAN's discriminator losses of what a discriminator sees of real and made pictures."""
        c = self.config
        of_real, of_fake, logits = D.compare(seen, fake)
        return {
            name: gan.judge(of_real, of_fake),
            f"{name} penalty": c.lambda_gp * gradient_penalty(lambda x: D(x)[0], seen, fake),
            f"{name} cls": classification(logits, real.code),
        }

    def generator_loss(self, real: Labelled, made: Translation) -> Terms:
        c, r = self.config, self.config.curriculum(self.clock)
        verdict, logits = self.D(made.image)
        again = self.G(made.image, real.code)
        terms = {
            "gan": (1 - r) * c.lambda_gan * gan.fool(verdict),
            "cls": (1 - r) * c.lambda_cls * classification(logits, real.target),
            "cycle": r * c.lambda_cycle * l1(again.image, real.image),  # Eq. 4
            "pixel": r * c.lambda_pixel * l1(made.image, real.image),  # Eq. 5
            "tv": (1 - r) * c.lambda_tv * total_variation(made.mask),  # Eq. 6
        }
        if c.lambda_content:
            terms["content"] = c.lambda_content * l1(made.content, real.image)
        return terms

    def masks(self, made: Translation) -> dict[str, Mask]:
        return {"M": made.mask}


class AGGANDomains(AttentionStar):
    """A second discriminator sees what is attended to, too (Eq. 3)."""

    critics = ("D", "D_a")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.D_a = DomainDiscriminator(task.size, task.code_length, config.discriminator_width, channels=4)

    def discriminator_loss(self, real: Labelled, made: Translation) -> Terms:
        """Eq. 3; a real picture is shown with the mask of another one.

        Its own would tell whether it had to change, and so which domain it is of. Between two domains a real
        picture never meets its own mask.
        """
        mask = made.mask.detach()
        seen, fake = attend(mask.roll(1, dims=0), real.image), attend(mask, made.image.detach())
        return super().discriminator_loss(real, made) | self.judge("D_a", self.D_a, real, seen, fake)

    def generator_loss(self, real: Labelled, made: Translation) -> Terms:
        c, r = self.config, self.config.curriculum(self.clock)
        verdict, logits = self.D_a(attend(made.mask, made.image))
        return super().generator_loss(real, made) | {
            "agan": (1 - r) * c.lambda_gan * gan.fool(verdict),  # Eq. 3
            "acls": (1 - r) * c.lambda_cls * classification(logits, real.target),
        }
