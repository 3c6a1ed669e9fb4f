"""AGGAN for many domains in one model: AGGAN's losses, and StarGAN's domain classification (Sec. IV-B).

    x, c'          real image (n, 3, h, w) in [-1, 1], and the one-hot code (n, m) of its domain
    c              target code
    G(x, c)        AGGAN's generator with a code; returns G_c, M_c, R_c
    D, D_cls       StarGAN's discriminator: scores of patches, and logits (n, m) of the domain
    D_a, D_acls    the same for [M, image], (n, 4, h, w): an option, off by default
    M'             the mask of another image of the batch
    r              curriculum: the weight of the reconstruction losses; CE is the cross entropy

    Eq. 1   G_c = R_c * M_c + x * (1 - M_c)
    Eq. 2   L_GAN   = E[(D(x) - 1)^2] + E[D(G_c)^2]
    Eq. 3   L_AGAN  = E[(D_a([M', x]) - 1)^2] + E[D_a([M_c, G_c])^2]
    Eq. 4   L_cycle = E[||G(G_c, c') - x||_1]
    Eq. 5   L_pixel = E[||G_c - x||_1]
    Eq. 6   L_tv(M) = sum_{w,h} |M(w+1, h) - M(w, h)| + |M(w, h+1) - M(w, h)|
    L_cls   CE(D_cls(x), c') trains D, and CE(D_cls(G_c), c) trains G       (StarGAN's Eqs. 2 and 3; D_acls alike)
    Eq. 9   L   = r * {lambda_cycle * L_cycle + lambda_pixel * L_pixel}
                  + (1 - r) * {lambda_gan * [L_GAN + L_AGAN] + lambda_cls * L_cls + lambda_tv * L_tv(M_c)}
            L_D = L_GAN / 2 + lambda_cls * L_cls, and L_D_a alike

As in AGGAN, Eqs. 2 and 3 are least squares, G minimises (D(G_c) - 1)^2, each side takes one step, and there is a pool
of fakes. The paper has one sentence on many domains: "we employ the domain classification loss proposed in StarGAN".
`docs/decisions/0014-many-domains.md` has the rest. `aggan-domains-released` is what the authors released.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from aggan.errors import UserError
from aggan.losses import classification, l1, total_variation
from aggan.losses import least_squares as gan
from aggan.methods.aggan import AGGANConfig, mask_advice
from aggan.methods.base import About, LossTerms, ManyDomainMethod, Task, Update, require_multiple_of_64
from aggan.nn.discriminators import DomainDiscriminator, concat_mask
from aggan.nn.generators import CONTENT_BOUNDS, AttentionGenerator, CodedAttentionGenerator, resnet_trunk
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import UPSAMPLINGS, Style
from aggan.types import Code, Image, LabelledBatch, Mask, Needs, Translation


class Config(AGGANConfig):
    """AGGAN's settings, and StarGAN's weight of the classification."""

    method: Literal["aggan-domains"] = "aggan-domains"
    about: ClassVar[About] = About("AGGAN, many domains", "Tang, Xu, Sebe, Yan; IJCNN 2019")
    needs: ClassVar[Needs] = Needs.LABELLED

    lambda_cls: float = Field(default=1.0, ge=0, description="Weight of the domain classification losses.")
    attention_guided_discriminators: bool = Field(default=False, description="Adds D_a (Eq. 3).")
    domain_scores: bool = Field(default=False, description="D scores an image for its domain, not for all of them.")
    label: Literal["input", "norm"] = Field(default="input", description="Where the target code enters the generator.")

    def require_batch(self, batch: int) -> None:
        if self.attention_guided_discriminators and batch < 2:
            raise UserError(
                "attention-guided discriminators meet each image with the mask of another image of its batch: "
                "set --training.batch to 2 or more"
            )

    def build(self, task: Task) -> "AGGANDomains":
        require_multiple_of_64(task, "aggan-domains")
        return (AttentionGuidedDomains if self.attention_guided_discriminators else AGGANDomains)(self, task)

    def build_generator(self, code_length: int) -> AttentionGenerator | CodedAttentionGenerator:
        bound, upsampling = CONTENT_BOUNDS[self.content](), UPSAMPLINGS[self.upsampling]
        if self.label == "norm":
            style = Style(upsampling=upsampling)
            return CodedAttentionGenerator(self.generator_width, self.generator_blocks, style, bound, code_length)
        # With reflection padding an instance norm would remove constant label maps.
        style = Style(upsampling=upsampling, padding_mode="zeros")
        return AttentionGenerator(resnet_trunk(self.generator_width, self.generator_blocks), style, bound, code_length)

    def build_discriminator(self, task: Task, channels: int) -> DomainDiscriminator:
        m = task.code_length
        scores = m if self.domain_scores else 1
        discriminator = DomainDiscriminator(task.size, m, self.discriminator_width, channels, scores)
        discriminator.init_weights()
        return discriminator


class AGGANDomains(ManyDomainMethod[Translation]):
    """AGGAN's generator with a code, and one discriminator that also classifies the domain."""

    adaptive_augmentation = True
    discriminators: tuple[str, ...] = ("D",)

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.G = config.build_generator(task.code_length)
        self.D = config.build_discriminator(task, channels=3)
        self.pool = ImagePool(config.pool)
        init_normal(self.G)

    def generate(self, image: Image, code: Code) -> Translation:
        return self.G(image, code)

    def updates(self) -> tuple[Update[LabelledBatch, Translation], ...]:
        lr_scale = self.config.remedies.discriminator_lr_scale
        return (
            Update("generator", self.generator_loss, ("G",)),
            Update(
                "discriminators",
                self.discriminator_loss,
                self.discriminators,
                lr_scale=lr_scale,
                real_inputs=self.real_inputs,
            ),
        )

    def forward(self, batch: LabelledBatch) -> Translation:
        return self.G(batch.image, batch.target)  # Eq. 1

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """Eq. 9 without L_AGAN."""
        c, r = self.config, self.config.curriculum(self.progress)
        G_c, M_c, _ = outputs.attended()
        C_x = self.G(G_c, real.code).image
        scores, logits = self.D(G_c, real.target)
        return {
            "gan": (1 - r) * c.lambda_gan * gan.generator_loss(scores),  # Eq. 2
            "cls": (1 - r) * c.lambda_cls * classification(logits, real.target),  # L_cls
            "cycle": r * c.lambda_cycle * l1(C_x, real.image),  # Eq. 4
            "pixel": r * c.lambda_pixel * l1(G_c, real.image),  # Eq. 5
            "tv": (1 - r) * c.lambda_tv * total_variation(M_c),  # Eq. 6
        } | c.remedies.losses(r, (outputs, real.image))

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_D."""
        fake, target = self.pool(outputs.image, real.target)
        return self.loss_of("D", self.D, real.image, fake, real.code, target)

    def real_inputs(self, real: LabelledBatch, outputs: Translation) -> dict[str, Tensor]:
        """What each discriminator sees of real images."""
        return {"D": real.image}

    def loss_of(
        self,
        name: str,
        D: DomainDiscriminator,
        real: Float[Tensor, "n c h w"],
        fake: Float[Tensor, "n c h w"],
        code: Code,
        target: Code,
    ) -> LossTerms:
        """L_D or L_D_a of real and fake inputs."""
        real_scores, fake_scores, logits = D.compare(real, fake, torch.cat((code, target)))
        D.augment.observe(real_scores)
        return {
            name: gan.discriminator_loss(real_scores, fake_scores) / 2,  # Eq. 2 or 3
            f"{name} cls": self.config.lambda_cls * classification(logits, code),  # L_cls
        }

    def masks(self, outputs: Translation) -> dict[str, Mask]:
        _, M_c, _ = outputs.attended()
        return {"M": M_c}

    def mask_advice(self, empty: bool) -> str:
        return mask_advice(empty)

    @property
    def mask_may_recover(self) -> bool:
        return self.config.curriculum(self.progress) <= self.config.r_early


class AttentionGuidedDomains(AGGANDomains):
    """One more discriminator considers only the attended regions (Sec. III-B)."""

    discriminators = ("D", "D_a")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.D_a = config.build_discriminator(task, channels=4)

    def generator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """Eq. 9."""
        c, r = self.config, self.config.curriculum(self.progress)
        G_c, M_c, _ = outputs.attended()
        scores, logits = self.D_a(concat_mask(M_c, G_c), real.target)
        return super().generator_loss(real, outputs) | {
            "agan": (1 - r) * c.lambda_gan * gan.generator_loss(scores),  # Eq. 3
            "acls": (1 - r) * c.lambda_cls * classification(logits, real.target),  # L_cls
        }

    def discriminator_loss(self, real: LabelledBatch, outputs: Translation) -> LossTerms:
        """L_D and L_D_a. A real image meets M', so that its mask does not tell whether it has to change.

        With `own_masks` it meets its own mask, M_c of G(x, c).
        """
        G_c, M_c, _ = outputs.attended()
        own = M_c.detach()
        M_c, G_c, target = self.pool(M_c, G_c, real.target)
        other = own if self.config.remedies.own_masks else M_c.roll(1, dims=0)
        attended = concat_mask(other, real.image), concat_mask(M_c, G_c)
        return self.loss_of("D", self.D, real.image, G_c, real.code, target) | self.loss_of(
            "D_a", self.D_a, *attended, real.code, target
        )

    def real_inputs(self, real: LabelledBatch, outputs: Translation) -> dict[str, Tensor]:
        _, M_c, _ = outputs.attended()
        return super().real_inputs(real, outputs) | {"D_a": concat_mask(M_c.roll(1, dims=0), real.image)}
