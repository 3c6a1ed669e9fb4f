"""AGGAN for many domains in one model: AGGAN's objective and StarGAN's domain classification (Sec. IV-B).

    x, c'          real image (n, 3, h, w) in [-1, 1], and the one-hot code (n, m) of its domain
    c              target code
    G(x, c)        AGGAN's generator; returns G_c, M_c, R_c (Eq. 1)
    D, D_cls       StarGAN's discriminator: scores of patches, and logits (n, m) of the domain
    D_a, D_acls    the same for [M, image], (n, 4, h, w): an attention-guided discriminator, off by default
    M'             the mask of another image of the batch
    r              curriculum: the weight of the reconstruction losses (Eq. 9); CE is the cross entropy

    L_D    = {E[(D(x) - 1)^2] + E[D(G_c)^2]} / 2 + lambda_cls * CE(D_cls(x), c')
    L_D_a  = the same with D_a, [M', x] and [M_c, G_c]
    L_G    = r * {lambda_cycle * E[||G(G_c, c') - x||_1] + lambda_pixel * E[||G_c - x||_1]}
             + (1 - r) * {lambda_gan * [E[(D(G_c) - 1)^2] + E[(D_a([M_c, G_c]) - 1)^2]]
                          + lambda_cls * [CE(D_cls(G_c), c) + CE(D_acls([M_c, G_c]), c)] + lambda_tv * L_tv(M_c)}

The paper describes this method in one sentence: "we employ the domain classification loss proposed in StarGAN". All
else is AGGAN's: least squares, one step of each side, a pool of fakes, the curriculum
(docs/decisions/0014-many-domains.md). `aggan-domains-released` is what the authors released.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from aggan.errors import UserError
from aggan.losses import classification, l1, total_variation
from aggan.losses import least_squares as gan
from aggan.methods.base import (
    About,
    LossTerms,
    ManyDomainMethod,
    MethodConfig,
    Progress,
    Task,
    Update,
    require_multiple_of_64,
)
from aggan.nn.discriminators import DomainDiscriminator, concat_mask
from aggan.nn.generators import CONTENT_BOUNDS, AttentionGenerator, CodedAttentionGenerator, resnet_trunk
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import UPSAMPLINGS, Style
from aggan.types import Code, Image, LabelledBatch, Mask, Needs, Translation


class Remedies(BaseModel):
    """Additions of this project, off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ramp_steps: int = Field(default=0, ge=0, description="Steps over which r rises linearly from r_early to r_late.")
    lambda_mask: float = Field(default=0.0, ge=0, description="Weight of the mean of M_c, times r.")
    lambda_content: float = Field(default=0.0, ge=0, description="Weight of the L1 distance of R_c from x.")


class Config(MethodConfig):
    """AGGAN's settings (Secs. III-D, IV-A), and StarGAN's weight of the classification."""

    method: Literal["aggan-domains"] = "aggan-domains"
    about: ClassVar[About] = About("AGGAN, many domains", "Tang, Xu, Sebe, Yan; IJCNN 2019")
    needs: ClassVar[Needs] = Needs.LABELLED

    lambda_gan: float = Field(default=0.5, ge=0, description="Weight of the adversarial losses (Eqs. 2, 3, 7).")
    lambda_cls: float = Field(default=1.0, ge=0, description="Weight of the domain classification losses.")
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss (Eq. 4).")
    lambda_pixel: float = Field(default=1.0, ge=0, description="Weight of the pixel loss (Eq. 5).")
    lambda_tv: float = Field(default=1e-6, ge=0, description="Weight of the attention loss, a sum over pixels (Eq. 6).")
    curriculum_epochs: int = Field(default=10, ge=0, description="Epochs during which r = r_early (Sec. IV-A).")
    curriculum_steps: int | None = Field(default=None, ge=0, description="The same in steps; replaces the epochs.")
    r_early: float = Field(default=0.01, ge=0, le=1, description="r of Eq. 9 during the curriculum.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r of Eq. 9 after the curriculum.")
    pool: int = Field(default=50, ge=0, description="Size of the image pool for the discriminators.")

    attention_guided_discriminators: bool = Field(default=False, description="Adds D_a (Eq. 3).")
    domain_scores: bool = Field(default=False, description="D scores an image for its domain, not for all of them.")
    label: Literal["input", "norm"] = Field(default="input", description="Where the target code enters the generator.")
    content: Literal["tanh", "linear"] = Field(default="tanh", description="Last activation of the content.")
    upsampling: Literal["transposed", "pixelshuffle", "nearest"] = Field(
        default="transposed", description="Upsampling layers of the generator."
    )
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")
    remedies: Remedies = Remedies()

    def curriculum(self, progress: Progress) -> float:
        """r of Eq. 9."""
        early = self.curriculum_steps
        if early is None:
            early = self.curriculum_epochs * progress.steps_per_epoch - progress.shift
        if progress.step < early:
            return self.r_early
        ramp_steps = self.remedies.ramp_steps
        ramp = min(1.0, (progress.step - early) / ramp_steps) if ramp_steps else 1.0
        return self.r_early + (self.r_late - self.r_early) * ramp

    def require_batch(self, batch: int) -> None:
        if self.attention_guided_discriminators and batch < 2:
            raise UserError(
                "attention-guided discriminators meet each image with the mask of another image of its batch: "
                "set --training.batch to 2 or more"
            )

    def build(self, task: Task) -> "AGGANDomains":
        require_multiple_of_64(task, "aggan-domains")
        return AGGANDomains(self, task)

    def build_generator(self, code_length: int) -> AttentionGenerator | CodedAttentionGenerator:
        bound = CONTENT_BOUNDS[self.content]()
        upsampling = UPSAMPLINGS[self.upsampling]
        if self.label == "norm":
            return CodedAttentionGenerator(
                self.generator_width, self.generator_blocks, Style(upsampling=upsampling), bound, code_length
            )
        # With reflection padding an instance norm would remove constant label maps.
        trunk = resnet_trunk(self.generator_width, self.generator_blocks)
        return AttentionGenerator(trunk, Style(upsampling=upsampling, padding_mode="zeros"), bound, code_length)


class AGGANDomains(ManyDomainMethod[Translation]):
    """AGGAN's generator with a code, and discriminators that also classify the domain."""

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = task.code_length
        self.G = config.build_generator(m)
        init_normal(self.G)
        scores = m if config.domain_scores else 1
        self.D = DomainDiscriminator(task.size, m, config.discriminator_width, scores=scores)
        self.D.init_weights()
        self.discriminators: tuple[str, ...] = ("D",)
        if config.attention_guided_discriminators:
            self.D_a = DomainDiscriminator(task.size, m, config.discriminator_width, channels=4, scores=scores)
            self.D_a.init_weights()
            self.discriminators = ("D", "D_a")
        self.pool = ImagePool(config.pool)

    def generate(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def updates(self) -> tuple[Update[LabelledBatch, Translation], ...]:
        return (
            Update("generator", self.generator_loss, ("G",)),
            Update("discriminators", self.discriminator_loss, self.discriminators),
        )

    def forward(self, batch: LabelledBatch) -> Translation:
        return self.G(batch.image, batch.target)

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_G."""
        c, r = self.config, self.config.curriculum(self.progress)
        G_c, M_c, R_c = outputs.attended()
        scores, logits = self.D(G_c, real.target)
        reconstruction = self.G(G_c, real.code).image
        terms = {
            "gan": (1 - r) * c.lambda_gan * gan.generator_loss(scores),  # Eq. 2
            "cls": (1 - r) * c.lambda_cls * classification(logits, real.target),
            "cycle": r * c.lambda_cycle * l1(reconstruction, real.image),  # Eq. 4
            "pixel": r * c.lambda_pixel * l1(G_c, real.image),  # Eq. 5
            "tv": (1 - r) * c.lambda_tv * total_variation(M_c),  # Eq. 6
        }
        if c.attention_guided_discriminators:
            scores, logits = self.D_a(concat_mask(M_c, G_c), real.target)
            terms["agan"] = (1 - r) * c.lambda_gan * gan.generator_loss(scores)  # Eq. 3
            terms["acls"] = (1 - r) * c.lambda_cls * classification(logits, real.target)
        if c.remedies.lambda_mask:
            terms["mask"] = r * c.remedies.lambda_mask * M_c.float().mean()
        if c.remedies.lambda_content:
            terms["content"] = c.remedies.lambda_content * l1(R_c, real.image)
        return terms

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_D and L_D_a. A real image meets M', the mask of another image, with which no discriminator can tell them.

        Its own mask would reveal whether it had to change, and so its domain.
        """
        G_c, M_c, _ = outputs.attended()
        M_c, G_c, target = self.pool(M_c, G_c, real.target)
        terms = self.classifying_loss("D", self.D, real, real.image, G_c, target)
        if self.config.attention_guided_discriminators:
            real_input, fake_input = concat_mask(M_c.roll(1, dims=0), real.image), concat_mask(M_c, G_c)
            terms |= self.classifying_loss("D_a", self.D_a, real, real_input, fake_input, target)
        return terms

    def classifying_loss(
        self,
        name: str,
        D: DomainDiscriminator,
        real: LabelledBatch,
        real_input: Float[Tensor, "n c h w"],
        fake_input: Float[Tensor, "n c h w"],
        target: Code,
    ) -> LossTerms:
        """Least squares, divided by 2 (Sec. III-D), and the classification of real images."""
        scores, logits = D(torch.cat((real_input, fake_input)), torch.cat((real.code, target)))
        real_scores, fake_scores = scores.chunk(2)
        return {
            name: gan.discriminator_loss(real_scores, fake_scores) / 2,
            f"{name} cls": self.config.lambda_cls * classification(logits[: len(real_input)], real.code),
        }

    def masks(self, outputs: Translation) -> dict[str, Mask]:
        _, M_c, _ = outputs.attended()
        return {"M": M_c}

    @property
    def mask_may_recover(self) -> bool:
        return self.config.curriculum(self.progress) <= self.config.r_early

    def mask_advice(self, empty: bool) -> str:
        return f"{'lower' if empty else 'raise'} the weight of the reconstruction losses (--method.r-late)"
