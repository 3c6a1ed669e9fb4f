"""AGGAN for many domains in one model, with StarGAN's domain classification (AGGAN, Sec. IV-B).

    x, c'          real image (n, 3, h, w) in [-1, 1], and the one-hot code (n, m) of its domain
    c              target code
    G(x, c)        attention-guided generator; returns G_c, M_c, R_c (AGGAN, Eq. 1)
    D, D_cls       discriminator: scores of patches, and logits (n, m) of the domain
    D_a, D_acls    attention-guided discriminator: the same for [M, image], (n, 4, h, w)
    M'             the mask of another image of the batch
    u              random points between real and fake inputs; CE is the cross entropy
    r              curriculum: the weight of the reconstruction losses (AGGAN, Eq. 9)

    L_D    = E[D(G_c)] - E[D(x)] + lambda_gp * E[(||grad D(u)||_2 - 1)^2] + (1 - r) * lambda_cls * CE(D_cls(x), c')
    L_D_a  = the same with D_a, [M_c, G_c] and [M', x]
    L_G    = r * {lambda_cycle * E[||G(G_c, c') - x||_1] + lambda_pixel * E[||G_c - x||_1]}
             + (1 - r) * {lambda_gan * [-E[D(G_c)] - E[D_a([M_c, G_c])]]
                          + lambda_cls * [CE(D_cls(G_c), c) + CE(D_acls([M_c, G_c]), c)] + lambda_tv * L_tv(M_c)}
             + lambda_content * E[||R_c - x||_1]

The paper describes this method in one sentence. Two choices are made here: `aggan-domains` has all of AGGAN's losses,
and the curriculum weighs the classification like the adversarial losses, in L_D as in L_G. From StarGAN come the
Wasserstein losses with their penalty, the five steps of the discriminators for each of the generator, and a batch size
of two or more: a real image meets the mask of another. `docs/decisions/0002-aggan.md` lists all differences from AGGAN.
`aggan-domains-released` is what the authors released: StarGAN whose generator has an attention mask. There r is 0.5 and
(1 - r) * lambda_cls is StarGAN's 1.
"""

from dataclasses import replace
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from aggan.errors import UserError
from aggan.losses import classification, gradient_penalty, l1, total_variation
from aggan.losses import wasserstein as gan
from aggan.methods.base import (
    About,
    LossTerms,
    ManyDomainMethod,
    MethodConfig,
    Progress,
    Task,
    Update,
    every,
    require_size,
)
from aggan.nn.discriminators import DomainDiscriminator, concat_mask
from aggan.nn.generators import CONTENT_BOUNDS, STARGAN, AttentionGenerator, stargan_trunk
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import nearest
from aggan.types import Code, Image, LabelledBatch, Mask, Needs, Translation


class Remedies(BaseModel):
    """An addition of this project, off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lambda_content: float = Field(default=0.0, ge=0, description="Weight of the L1 distance of R_c from x.")


class Config(MethodConfig):
    """AGGAN's and StarGAN's weights: with r = 0.5, (1 - r) * 2 and r * 20 are StarGAN's 1 and 10."""

    method: Literal["aggan-domains"] = "aggan-domains"
    about: ClassVar[About] = About("AGGAN, many domains", "Tang, Xu, Sebe, Yan; IJCNN 2019")
    needs: ClassVar[Needs] = Needs.LABELLED

    lambda_gan: float = Field(default=2.0, ge=0, description="Weight of the adversarial losses (AGGAN, Eqs. 2, 3).")
    lambda_cls: float = Field(default=2.0, ge=0, description="Weight of the domain classification losses.")
    lambda_cycle: float = Field(default=20.0, ge=0, description="Weight of the cycle-consistency loss (AGGAN, Eq. 4).")
    lambda_pixel: float = Field(default=2.0, ge=0, description="Weight of the pixel loss (AGGAN, Eq. 5).")
    lambda_tv: float = Field(
        default=4e-6, ge=0, description="Weight of the attention loss, a sum over pixels (AGGAN, Eq. 6)."
    )
    lambda_gp: float = Field(default=10.0, ge=0, description="Weight of the gradient penalty.")
    curriculum_epochs: int = Field(default=10, ge=0, description="Epochs during which r = r_early.")
    curriculum_steps: int | None = Field(default=None, ge=0, description="The same in steps; replaces the epochs.")
    r_early: float = Field(default=0.01, ge=0, le=1, description="r of Eq. 9 during the curriculum.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r of Eq. 9 after the curriculum.")
    critic_steps: int = Field(default=5, ge=1, description="Discriminator steps per generator step.")

    attention_guided_discriminators: bool = Field(
        default=True, description="Adds the attention-guided discriminator D_a."
    )
    content: Literal["tanh", "linear"] = Field(default="tanh", description="Last activation of the content.")
    upsampling: Literal["stargan", "nearest"] = Field(
        default="stargan", description="Upsampling layers of the generator; stargan is transposed convolutions."
    )
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")
    released_init: bool = Field(
        default=False,
        description="The released code's initial weights, PyTorch's own; else those of docs/decisions/0007.",
    )
    remedies: Remedies = Remedies()

    def curriculum(self, progress: Progress) -> float:
        """r of Eq. 9."""
        early = self.curriculum_steps
        if early is None:
            early = self.curriculum_epochs * progress.steps_per_epoch - progress.shift
        return self.r_early if progress.step < early else self.r_late

    def require_batch(self, batch: int) -> None:
        if self.attention_guided_discriminators and batch < 2:
            raise UserError(
                "aggan-domains pairs each image with the mask of another image of its batch: "
                "set --training.batch to 2 or more"
            )

    def build(self, task: Task) -> "AttentionStarGAN":
        require_size(task, "aggan-domains", task.size >= 64 and task.size % 64 == 0, "64, 128, 192, 256, ...")
        return AGGANDomains(self, task) if self.attention_guided_discriminators else AttentionStarGAN(self, task)


class AttentionStarGAN(ManyDomainMethod[Translation]):
    """An attention-guided generator and StarGAN's discriminator."""

    discriminators: tuple[str, ...] = ("D",)

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        trunk = stargan_trunk(config.generator_width, config.generator_blocks)
        style = STARGAN if config.upsampling == "stargan" else replace(STARGAN, upsampling=nearest)
        self.G = AttentionGenerator(trunk, style, CONTENT_BOUNDS[config.content](), code_length=m)
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width)
        if not config.released_init:  # which keeps PyTorch's
            self.D.init_weights()
            init_normal(self.G)

    def generate(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def updates(self) -> tuple[Update[LabelledBatch, Translation], ...]:
        return (
            Update("discriminators", self.discriminator_loss, self.discriminators),
            Update("generator", self.generator_loss, ("G",), when=every(self.config.critic_steps)),
        )

    def forward(self, batch: LabelledBatch) -> Translation:
        return self.G(batch.image, batch.target)

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_D."""
        return self.wgan_loss("D", self.D, real, real.image, outputs.image.detach())

    def wgan_loss(
        self,
        name: str,
        D: DomainDiscriminator,
        real: LabelledBatch,
        real_input: Float[Tensor, "n c h w"],
        fake_input: Float[Tensor, "n c h w"],
    ) -> LossTerms:
        """StarGAN's discriminator loss of D. The inputs are images, or masks and images."""
        c, r = self.config, self.config.curriculum(self.progress)
        real_scores, fake_scores, logits = D.compare(real_input, fake_input)
        return {
            name: gan.discriminator_loss(real_scores, fake_scores),
            f"{name} penalty": c.lambda_gp * gradient_penalty(lambda u: D(u)[0], real_input, fake_input),
            f"{name} cls": (1 - r) * c.lambda_cls * classification(logits, real.code),
        }

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_G without D_a."""
        c, r = self.config, self.config.curriculum(self.progress)
        G_c, M_c, R_c = outputs.attended()
        scores, logits = self.D(G_c)
        reconstruction = self.G(G_c, real.code).image
        terms = {
            "gan": (1 - r) * c.lambda_gan * gan.generator_loss(scores),
            "cls": (1 - r) * c.lambda_cls * classification(logits, real.target),
            "cycle": r * c.lambda_cycle * l1(reconstruction, real.image),  # Eq. 4
            "pixel": r * c.lambda_pixel * l1(G_c, real.image),  # Eq. 5
            "tv": (1 - r) * c.lambda_tv * total_variation(M_c),  # Eq. 6
        }
        if c.remedies.lambda_content:
            terms["content"] = c.remedies.lambda_content * l1(R_c, real.image)
        return terms

    def masks(self, outputs: Translation) -> dict[str, Mask]:
        _, M_c, _ = outputs.attended()
        return {"M": M_c}

    @property
    def mask_may_recover(self) -> bool:
        return self.config.curriculum(self.progress) <= self.config.r_early

    def mask_advice(self, empty: bool) -> str:
        return f"{'lower' if empty else 'raise'} the weight of the reconstruction losses (--method.r-late)"


class AGGANDomains(AttentionStarGAN):
    """A second discriminator also sees the mask (Eq. 3)."""

    discriminators = ("D", "D_a")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.D_a = DomainDiscriminator(task.size, task.code_length, config.discriminator_width, channels=4)
        if not config.released_init:
            self.D_a.init_weights()

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_D and L_D_a. A real image is paired with M', the mask of another image.

        Its own mask would reveal whether it had to change, and so its domain. With two domains a real image never
        meets its own mask.
        """
        G_c, M_c, _ = (part.detach() for part in outputs.attended())
        real_input, fake_input = concat_mask(M_c.roll(1, dims=0), real.image), concat_mask(M_c, G_c)
        terms = super().discriminator_loss(real, outputs)
        return terms | self.wgan_loss("D_a", self.D_a, real, real_input, fake_input)

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_G."""
        c, r = self.config, self.config.curriculum(self.progress)
        G_c, M_c, _ = outputs.attended()
        scores, logits = self.D_a(concat_mask(M_c, G_c))
        return super().generator_loss(real, outputs) | {
            "agan": (1 - r) * c.lambda_gan * gan.generator_loss(scores),  # Eq. 3
            "acls": (1 - r) * c.lambda_cls * classification(logits, real.target),
        }
