"""AGGAN: attention-guided generators and discriminators (Tang, Xu, Sebe, Yan; IJCNN 2019).

    x, y            real images of the domains X and Y, (n, 3, h, w) in [-1, 1]
    G_xy, G_yx      generators; G_xy(x) returns G_y, M_y, R_y
    M_y, M_x        attention masks, (n, 1, h, w) in [0, 1]
    R_y, R_x        contents (the paper's content masks), (n, 3, h, w)
    D_x, D_y        vanilla discriminators
    D_xa, D_ya      attention-guided discriminators; they also see the mask: [M, image] is (n, 4, h, w)
    r               curriculum: the weight of the reconstruction losses

    Eq. 1   G_y = R_y * M_y + x * (1 - M_y)                                 and G_x with y, M_x, R_x
    Eq. 2   L_GAN(G_xy, D_y) = E_y[(D_y(y) - 1)^2] + E_x[D_y(G_y)^2]
    Eq. 3   L_AGAN(G_xy, D_ya) = E_y[(D_ya([M_y, y]) - 1)^2] + E_x[D_ya([M_y, G_y])^2]
    Eq. 4   L_cycle = E_x[||G_yx(G_y) - x||_1] + E_y[||G_xy(G_x) - y||_1]
    Eq. 5   L_pixel = E_x[||G_y - x||_1] + E_y[||G_x - y||_1]
    Eq. 6   L_tv(M) = sum_{w,h} |M(w+1, h) - M(w, h)| + |M(w, h+1) - M(w, h)|
    Eq. 7   L = lambda_gan * [L_GAN(G_xy, D_y) + L_GAN(G_yx, D_x) + L_AGAN(G_xy, D_ya) + L_AGAN(G_yx, D_xa)]
              + lambda_cycle * L_cycle + lambda_pixel * L_pixel + lambda_tv * [L_tv(M_x) + L_tv(M_y)]
    Eq. 9   L = r * {lambda_cycle * L_cycle + lambda_pixel * L_pixel}
              + (1 - r) * {lambda_gan * [L_GAN + L_GAN + L_AGAN + L_AGAN] + lambda_tv * [L_tv + L_tv]}

Eqs. 2 and 3 are printed with logarithms and trained with least squares (Sec. III-D); a generator minimises
(D(G) - 1)^2. `docs/decisions/0002-aggan.md` lists every choice that the paper leaves open.
"""

from functools import partial
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.losses import l1, outside_band, total_variation
from aggan.losses import least_squares as gan
from aggan.methods.base import (
    About,
    LossTerms,
    Method,
    MethodConfig,
    Progress,
    Task,
    Update,
    require_size,
    require_two_domains,
)
from aggan.nn.discriminators import Discriminator, PatchDiscriminator, PooledDiscriminator, concat_mask, discriminate
from aggan.nn.generators import CONTENT_BOUNDS, AttentionGenerator, PlainGenerator, resnet_trunk
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import NORMS, UPSAMPLINGS, Style
from aggan.types import Image, Mask, Needs, Translation, UnpairedBatch

DISCRIMINATORS = {
    "pooled": PooledDiscriminator,
    "patch34": partial(PatchDiscriminator, halvings=2),
    "patch": PatchDiscriminator,
    "patch142": partial(PatchDiscriminator, halvings=4),
}
SMALLEST = {"pooled": (94, 32), "patch34": (34, 16), "patch": (94, 32), "patch142": (142, 48)}
"""The smallest side in pixels for each discriminator, without padding and with it."""


Inside = Annotated[float, Field(gt=0, lt=1)]
"""In (0, 1)."""


class AGGANOutputs(NamedTuple):
    """The images of a step: both translations, and the reconstructions C_x = G_yx(G_y) and C_y = G_xy(G_x)."""

    y: Translation
    x: Translation
    C_x: Image
    C_y: Image


class Remedies(BaseModel):
    """Additions of this project against collapsing masks and overfitting; all are off in the paper's recipe.

    `docs/mask.md` reports what each of them does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ramp_steps: int = Field(default=0, ge=0, description="Steps over which r rises linearly from r_early to r_late.")
    lambda_mask: float = Field(default=0.0, ge=0, description="Weight of the mean of each mask, times r.")
    lambda_band: float = Field(default=0.0, ge=0, description="Weight of the penalty on mask means outside mask_band.")
    mask_band: tuple[Inside, Inside] = Field(default=(0.05, 0.5), description="Allowed range of a mask's mean.")
    lambda_content: float = Field(default=0.0, ge=0, description="Weight of the L1 distance of contents from inputs.")
    discriminator_lr_scale: float = Field(
        default=1.0, gt=0, description="Multiplies the learning rate of the discriminators."
    )
    own_masks: bool = Field(
        default=False, description="Shows a real image in Eq. 3 with its own mask, from the generator that edits it."
    )

    def losses(self, r: float, *attended: tuple[Translation, Image]) -> LossTerms:
        """Weighted losses of the generators, summed over translations with attention and their sources."""
        masks = [M for (_, M, _), _ in attended if M is not None]
        terms: LossTerms = {}
        if self.lambda_mask:
            terms["mask"] = r * self.lambda_mask * torch.stack([M.float().mean() for M in masks]).sum()
        if self.lambda_band:
            terms["band"] = self.lambda_band * torch.stack([outside_band(M, *self.mask_band) for M in masks]).sum()
        if self.lambda_content:
            distances = [l1(R, x) for (_, _, R), x in attended if R is not None]
            terms["content"] = self.lambda_content * torch.stack(distances).sum()
        return terms


class AGGANConfig(MethodConfig):
    """What AGGAN for two and for many domains share; the defaults are Sec. III-D's and IV-A's."""

    lambda_gan: float = Field(default=0.5, ge=0, description="Weight of the adversarial losses (Eqs. 2, 3, 7).")
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss (Eq. 4).")
    lambda_pixel: float = Field(default=1.0, ge=0, description="Weight of the pixel loss (Eq. 5).")
    lambda_tv: float = Field(default=1e-6, ge=0, description="Weight of the attention loss, a sum over pixels (Eq. 6).")
    curriculum_epochs: int = Field(default=10, ge=0, description="Epochs during which r = r_early (Sec. IV-A).")
    curriculum_steps: int | None = Field(default=None, ge=0, description="The same in steps; replaces the epochs.")
    r_early: float = Field(default=0.01, ge=0, le=1, description="r of Eq. 9 during the curriculum.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r of Eq. 9 after the curriculum.")
    pool: int = Field(default=50, ge=0, description="Size of the image pool for the discriminators.")

    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    upsampling: Literal["transposed", "pixelshuffle", "nearest"] = Field(
        default="transposed", description="Upsampling layers of the generator."
    )
    content: Literal["tanh", "linear"] = Field(default="tanh", description="Last activation of the content.")
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


class Config(AGGANConfig):
    """AGGAN's settings. docs/decisions/0002 lists the exceptions from the paper's."""

    method: Literal["aggan"] = "aggan"
    about: ClassVar[About] = About("AGGAN", "Tang, Xu, Sebe, Yan; IJCNN 2019")
    needs: ClassVar[Needs] = Needs.UNPAIRED

    attention_guided_generators: bool = Field(default=True, description="AG of Table II; without it there is no mask.")
    attention_guided_discriminators: bool = Field(default=True, description="AD of Table II: D_xa and D_ya (Eq. 3).")
    generator_norm: Literal["instance", "batch"] = Field(default="instance", description="Norm of the generator.")
    discriminator: Literal["pooled", "patch34", "patch", "patch142"] = Field(
        default="pooled",
        description="The paper's, or PatchGAN with a receptive field of 34x34, 70x70 (patch) or 142x142 pixels.",
    )
    discriminator_norm: Literal["instance", "batch"] = Field(
        default="instance", description="Norm of the discriminators."
    )
    discriminator_slope: float = Field(default=0.2, ge=0, description="Slope of the discriminators' leaky ReLUs.")
    discriminator_padding: int = Field(
        default=1, ge=0, le=1, description="Padding of the discriminators' convolutions; 0 as released."
    )

    def build(self, task: Task) -> "AttentionGuidedGenerators":
        require_two_domains(task, "aggan")
        smallest = SMALLEST[self.discriminator][self.discriminator_padding]
        if task.size < smallest:
            raise UserError(f"the discriminators need at least {smallest} px: raise --data.size {task.size}")
        require_size(task, "aggan", task.size % 4 == 0, "multiples of 4")
        if not self.attention_guided_discriminators:
            return AttentionGuidedGenerators(self, task)
        if not self.attention_guided_generators:
            raise UserError(
                "attention-guided discriminators need a mask: turn --method.attention-guided-generators on, "
                "or --method.attention-guided-discriminators off"
            )
        return AGGAN(self, task)

    def build_generator(self) -> nn.Module:
        trunk = resnet_trunk(self.generator_width, self.generator_blocks)
        style = Style(NORMS[self.generator_norm], UPSAMPLINGS[self.upsampling])
        generator = AttentionGenerator if self.attention_guided_generators else PlainGenerator
        return generator(trunk, style, CONTENT_BOUNDS[self.content]())

    def build_discriminator(self, channels: int) -> Discriminator:
        style = Style(
            NORMS[self.discriminator_norm], slope=self.discriminator_slope, padding=self.discriminator_padding
        )
        return DISCRIMINATORS[self.discriminator](channels, self.discriminator_width, style)


def mask_advice(empty: bool) -> str:
    """`Method.mask_advice` of AGGAN for two and for many domains."""
    if empty:
        return (
            "lower the weight of the reconstruction losses (--method.r-late 0.02) or penalise empty masks "
            "(--method.remedies.lambda-band 1)"
        )
    return (
        "raise the weight of the reconstruction losses (--method.r-late), augment what the discriminators see "
        "(--training.augment 0.5) or penalise full masks (--method.remedies.lambda-band 1)"
    )


class AttentionGuidedGenerators(Method[UnpairedBatch, AGGANOutputs]):
    """Attention-guided generators and vanilla discriminators: "Full - AD" of Table II, or "Full - AD - AG"."""

    adaptive_augmentation = True
    inference_networks = ("G_xy", "G_yx")
    discriminators: tuple[str, ...] = ("D_x", "D_y")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.G_xy, self.G_yx = config.build_generator(), config.build_generator()
        self.D_x, self.D_y = config.build_discriminator(channels=3), config.build_discriminator(channels=3)
        self.pool_x, self.pool_y = ImagePool(config.pool), ImagePool(config.pool)
        init_normal(self)

    def updates(self) -> tuple[Update[UnpairedBatch, AGGANOutputs], ...]:
        lr_scale = self.config.remedies.discriminator_lr_scale
        return (
            Update("generators", self.generator_loss, self.inference_networks),
            Update(
                "discriminators",
                self.discriminator_loss,
                self.discriminators,
                lr_scale=lr_scale,
                real_inputs=self.real_inputs,
            ),
        )

    def forward(self, batch: UnpairedBatch) -> AGGANOutputs:
        y, x = self.G_xy(batch.x), self.G_yx(batch.y)  # Eq. 1
        return AGGANOutputs(y, x, C_x=self.G_yx(y.image).image, C_y=self.G_xy(x.image).image)

    def generator_loss(self, real: UnpairedBatch, outputs: AGGANOutputs) -> LossTerms:
        """Eq. 9 without L_AGAN."""
        c, r = self.config, self.config.curriculum(self.progress)
        (G_y, M_y, _), (G_x, M_x, _), C_x, C_y = outputs
        L_GAN = gan.generator_loss(self.D_y(G_y)) + gan.generator_loss(self.D_x(G_x))
        terms = {
            "gan": (1 - r) * c.lambda_gan * L_GAN,  # Eq. 2
            "cycle": r * c.lambda_cycle * (l1(C_x, real.x) + l1(C_y, real.y)),  # Eq. 4
            "pixel": r * c.lambda_pixel * (l1(G_y, real.x) + l1(G_x, real.y)),  # Eq. 5
        }
        if M_y is not None and M_x is not None:
            terms["tv"] = (1 - r) * c.lambda_tv * (total_variation(M_y) + total_variation(M_x))  # Eq. 6
            terms |= c.remedies.losses(r, (outputs.y, real.x), (outputs.x, real.y))
        return terms

    def discriminator_loss(self, real: UnpairedBatch, outputs: AGGANOutputs) -> LossTerms:
        (G_y,), (G_x,) = self.pool_y(outputs.y.image), self.pool_x(outputs.x.image)
        return self.vanilla_loss(real, G_y, G_x)

    def real_inputs(self, real: UnpairedBatch, outputs: AGGANOutputs) -> dict[str, Tensor]:
        """What each discriminator sees of real images."""
        return {"D_y": real.y, "D_x": real.x}

    def vanilla_loss(self, real: UnpairedBatch, G_y: Image, G_x: Image) -> LossTerms:
        """Eq. 2, divided by 2 to slow the discriminators down (Sec. III-D)."""
        return {
            "D_y": gan.discriminator_loss(*discriminate(self.D_y, real.y, G_y)) / 2,
            "D_x": gan.discriminator_loss(*discriminate(self.D_x, real.x, G_x)) / 2,
        }

    def masks(self, outputs: AGGANOutputs) -> dict[str, Mask]:
        masks = {"M_y": outputs.y.mask, "M_x": outputs.x.mask}
        return {name: mask for name, mask in masks.items() if mask is not None}

    def mask_advice(self, empty: bool) -> str:
        return mask_advice(empty)

    @property
    def mask_may_recover(self) -> bool:
        return self.config.curriculum(self.progress) <= self.config.r_early

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        x, y = self.task.domains
        return {y: self.G_xy, x: self.G_yx}[to](image)


class AGGAN(AttentionGuidedGenerators):
    """The full method: two more discriminators consider only the attended regions (Sec. III-B)."""

    discriminators = ("D_x", "D_y", "D_xa", "D_ya")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.D_xa, self.D_ya = config.build_discriminator(channels=4), config.build_discriminator(channels=4)
        init_normal(nn.ModuleList((self.D_xa, self.D_ya)))

    def generator_loss(self, real: UnpairedBatch, outputs: AGGANOutputs) -> LossTerms:
        """Eq. 9, where lambda_gan weighs L_AGAN too, as in Eq. 7's brackets."""
        c, r = self.config, self.config.curriculum(self.progress)
        (G_y, M_y, _), (G_x, M_x, _) = outputs.y.attended(), outputs.x.attended()
        fake_y, fake_x = self.D_ya(concat_mask(M_y, G_y)), self.D_xa(concat_mask(M_x, G_x))
        L_AGAN = gan.generator_loss(fake_y) + gan.generator_loss(fake_x)
        return super().generator_loss(real, outputs) | {"agan": (1 - r) * c.lambda_gan * L_AGAN}  # Eq. 3

    def discriminator_loss(self, real: UnpairedBatch, outputs: AGGANOutputs) -> LossTerms:
        """Eqs. 2 and 3. Real and fake share a mask, so the mask alone does not tell them apart.

        With `own_masks`, a real y has the mask of G_yx(y) instead, which lies on y's own mouth.
        """
        (G_y, M_y, _), (G_x, M_x, _) = outputs.y.attended(), outputs.x.attended()
        own_y, own_x = M_x.detach(), M_y.detach()
        M_y, G_y = self.pool_y(M_y, G_y)
        M_x, G_x = self.pool_x(M_x, G_x)
        real_M_y, real_M_x = (own_y, own_x) if self.config.remedies.own_masks else (M_y, M_x)
        scores_y = discriminate(self.D_ya, concat_mask(real_M_y, real.y), concat_mask(M_y, G_y))
        scores_x = discriminate(self.D_xa, concat_mask(real_M_x, real.x), concat_mask(M_x, G_x))
        return self.vanilla_loss(real, G_y, G_x) | {
            "D_ya": gan.discriminator_loss(*scores_y) / 2,  # Eq. 3
            "D_xa": gan.discriminator_loss(*scores_x) / 2,
        }

    def real_inputs(self, real: UnpairedBatch, outputs: AGGANOutputs) -> dict[str, Tensor]:
        (_, M_y, _), (_, M_x, _) = outputs.y.attended(), outputs.x.attended()
        attended = {"D_ya": concat_mask(M_y, real.y), "D_xa": concat_mask(M_x, real.x)}
        return super().real_inputs(real, outputs) | attended
