"""AGGAN: attention-guided generators and discriminators (Tang, Xu, Sebe, Yan; IJCNN 2019).

    x, y            real pictures of the domains X and Y
    G_xy, G_yx      generators; G_y, M_y, R_y = G_xy(x): translated picture, attention mask, content
    D_x, D_y        vanilla discriminators
    D_xa, D_ya      attention-guided discriminators, which also see the mask
    r               curriculum: the share of the reconstruction losses (Eq. 9)

Where the paper leaves a choice open, `docs/decisions/0002-aggan.md` says what is done here and why.
"""

from functools import partial
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field
from torch import nn

from aggan.errors import UserError
from aggan.losses import l1, outside_band, total_variation
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Clock, System, Task, Terms, Turn, require_size, require_two
from aggan.nn.diffaug import Augmented
from aggan.nn.discriminators import PatchDiscriminator, PooledDiscriminator, attend, verdicts
from aggan.nn.generators import CONTENT_BOUNDS, AttentionGenerator, PlainGenerator, resnet
from aggan.nn.image_pool import Pool
from aggan.nn.init import initialise
from aggan.nn.layer_spec import NORMS, UPSAMPLINGS, Style
from aggan.types import Image, Mask, Translation, Unpaired

DISCRIMINATORS = {
    "pooled": PooledDiscriminator,
    "patch": PatchDiscriminator,
    "patch142": partial(PatchDiscriminator, halvings=4),
}
SMALLEST = {"pooled": (94, 32), "patch": (94, 32), "patch142": (142, 48)}
"""Sides in pixels that each can look at, without padding and with it."""


class Attended(NamedTuple):
    """What a step makes: both translations, and both pictures brought back again (C_x, C_y)."""

    y: Translation
    x: Translation
    x_again: Image
    y_again: Image


class Config(base.Config):
    """AGGAN's settings; the defaults are Sec. III-D's and IV-A's."""

    system: Literal["aggan"] = "aggan"
    about: ClassVar[About] = About("AGGAN", "Tang, Xu, Sebe, Yan; IJCNN 2019")

    lambda_gan: float = Field(default=0.5, ge=0, description="Weight of both adversarial losses (Eqs. 2, 3, 7).")
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss (Eq. 4).")
    lambda_pixel: float = Field(default=1.0, ge=0, description="Weight of the pixel loss (Eq. 5).")
    lambda_tv: float = Field(default=1e-6, ge=0, description="Weight of the attention loss, a sum over pixels (Eq. 6).")
    curriculum_epochs: int = Field(default=10, ge=0, description="So long r is r_early (Sec. IV-A).")
    curriculum_steps: int | None = Field(default=None, ge=0, description="The same in steps, instead.")
    r_early: float = Field(default=0.01, ge=0, le=1, description="r of Eq. 9 at first.")
    r_late: float = Field(default=0.5, ge=0, le=1, description="r of Eq. 9 afterwards.")
    pool: int = Field(default=50, ge=0, description="Past (mask, picture) pairs kept for the discriminators.")

    attention_guided_generators: bool = Field(default=True, description="AG of Table II; without it the mask is 1.")
    attention_guided_discriminators: bool = Field(default=True, description="AD of Table II: D_xa and D_ya, Eq. 3.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=6, ge=0, description="Residual blocks of the generator.")
    generator_norm: Literal["instance", "batch"] = "instance"
    upsampling: Literal["transposed", "pixelshuffle", "nearest"] = "transposed"
    content: Literal["tanh", "linear"] = "tanh"
    discriminator: Literal["pooled", "patch", "patch142"] = Field(
        default="pooled", description="The paper's, or patches of 70x70 or 142x142 pixels."
    )
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")
    discriminator_norm: Literal["instance", "batch"] = "instance"
    discriminator_slope: float = Field(default=0.2, ge=0, description="Of the leaky ReLUs.")
    discriminator_padding: int = Field(default=1, ge=0, le=1, description="Of its convolutions; 0 as released.")

    # Remedies against dying masks and loud contents, off in the paper's recipe; docs/mask.md tells what each one does.
    ramp_steps: int = Field(default=0, ge=0, description="Remedy: r goes from r_early to r_late over so many steps.")
    mask_floor: float = Field(default=0.0, ge=0, le=0.25, description="Remedy: least slope of the mask's sigmoid.")
    lambda_band: float = Field(default=0.0, ge=0, description="Remedy: weight of the pull into mask_band.")
    mask_band: tuple[float, float] = Field(default=(0.05, 0.5), description="Where lambda_band wants the mask's mean.")
    lambda_content: float = Field(default=0.0, ge=0, description="Remedy: weight of contents' distance from inputs.")
    discriminator_rate: float = Field(default=1.0, gt=0, description="Remedy: the discriminators learn so much faster.")
    augment: float = Field(default=0.0, ge=0, le=1, description="Remedy for small sets: share of augmented pictures.")

    def curriculum(self, clock: Clock) -> float:
        """r of Eq. 9."""
        early = self.curriculum_steps
        if early is None:
            early = self.curriculum_epochs * clock.steps_per_epoch
        if clock.step < early:
            return self.r_early
        ramp = min(1.0, (clock.step - early) / self.ramp_steps) if self.ramp_steps else 1.0
        return self.r_early + (self.r_late - self.r_early) * ramp

    def build(self, task: Task) -> "AttentionGuided":
        require_two(task, "aggan")
        smallest = SMALLEST[self.discriminator][self.discriminator_padding]
        if task.size < smallest:
            raise UserError(f"the discriminators need at least {smallest} px: raise --data.size {task.size}")
        require_size(task, "aggan", task.size % 4 == 0, "multiples of 4")
        return AGGAN(self, task) if self.attention_guided_discriminators else AttentionGuided(self, task)

    def generator(self) -> nn.Module:
        trunk = resnet(self.generator_width, self.generator_blocks)
        style = Style(NORMS[self.generator_norm], UPSAMPLINGS[self.upsampling])
        bound = CONTENT_BOUNDS[self.content]()
        if self.attention_guided_generators:
            return AttentionGenerator(trunk, style, bound, self.mask_floor)
        return PlainGenerator(trunk, style, bound)

    def critic(self, channels: int) -> nn.Module:
        style = Style(
            NORMS[self.discriminator_norm], slope=self.discriminator_slope, padding=self.discriminator_padding
        )
        discriminator = DISCRIMINATORS[self.discriminator](channels, self.discriminator_width, style)
        return Augmented(discriminator, self.augment) if self.augment else discriminator


class AttentionGuided(System):
    """Attention-guided generators against vanilla discriminators: "Full - AD" of Table II."""

    batch_type = Unpaired
    translators = ("G_xy", "G_yx")
    discriminators: tuple[str, ...] = ("D_x", "D_y")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        self.G_xy, self.G_yx = config.generator(), config.generator()
        self.D_x, self.D_y = config.critic(channels=3), config.critic(channels=3)
        self.past_x, self.past_y = Pool(config.pool), Pool(config.pool)
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generators", self.generator_loss, self.translators),
            Turn("discriminators", self.discriminator_loss, self.discriminators, rate=self.config.discriminator_rate),
        )

    def forward(self, batch: Unpaired) -> Attended:
        y, x = self.G_xy(batch.x), self.G_yx(batch.y)  # Eq. 1
        return Attended(y, x, x_again=self.G_yx(y.image).image, y_again=self.G_xy(x.image).image)

    def generator_loss(self, real: Unpaired, made: Attended) -> Terms:
        """Eqs. 7 and 9 as far as the generators see them, without L_AGAN."""
        c, r = self.config, self.config.curriculum(self.clock)
        (G_y, M_y, R_y), (G_x, M_x, R_x) = made.y, made.x
        terms = {
            "gan": (1 - r) * c.lambda_gan * (gan.fool(self.D_y(G_y)) + gan.fool(self.D_x(G_x))),  # Eq. 2
            "cycle": r * c.lambda_cycle * (l1(made.x_again, real.x) + l1(made.y_again, real.y)),  # Eq. 4
            "pixel": r * c.lambda_pixel * (l1(G_y, real.x) + l1(G_x, real.y)),  # Eq. 5
            "tv": (1 - r) * c.lambda_tv * (total_variation(M_y) + total_variation(M_x)),  # Eq. 6
        }
        if c.lambda_band:
            terms["band"] = c.lambda_band * (outside_band(M_y, *c.mask_band) + outside_band(M_x, *c.mask_band))
        if c.lambda_content:
            terms["content"] = c.lambda_content * (l1(R_y, real.x) + l1(R_x, real.y))
        return terms

    def discriminator_loss(self, real: Unpaired, made: Attended) -> Terms:
        M_y, G_y = self.past_y(made.y.mask, made.y.image)
        M_x, G_x = self.past_x(made.x.mask, made.x.image)
        return self.judge(real, M_y, G_y, M_x, G_x)

    def judge(self, real: Unpaired, M_y: Mask, G_y: Image, M_x: Mask, G_x: Image) -> Terms:
        """Eq. 2, halved to slow the discriminators down (Sec. III-D)."""
        return {
            "D_y": gan.judge(*verdicts(self.D_y, real.y, G_y)) / 2,  # Eq. 2
            "D_x": gan.judge(*verdicts(self.D_x, real.x, G_x)) / 2,
        }

    def masks(self, made: Attended) -> dict[str, Mask]:
        return {"M_y": made.y.mask, "M_x": made.x.mask} if self.config.attention_guided_generators else {}

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        x, y = self.task.domains
        return {y: self.G_xy, x: self.G_yx}[to](image)


class AGGAN(AttentionGuided):
    """The whole system: two more discriminators consider only what is attended to (Sec. III-B)."""

    discriminators = ("D_x", "D_y", "D_xa", "D_ya")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.D_xa, self.D_ya = config.critic(channels=4), config.critic(channels=4)
        initialise(nn.ModuleList((self.D_xa, self.D_ya)))

    def generator_loss(self, real: Unpaired, made: Attended) -> Terms:
        """Eqs. 7 and 9: Eq. 7's brackets, where lambda_gan weighs L_AGAN too."""
        c, r = self.config, self.config.curriculum(self.clock)
        (G_y, M_y, _), (G_x, M_x, _) = made.y, made.x
        agan = gan.fool(self.D_ya(attend(M_y, G_y))) + gan.fool(self.D_xa(attend(M_x, G_x)))  # Eq. 3
        return super().generator_loss(real, made) | {"agan": (1 - r) * c.lambda_gan * agan}

    def judge(self, real: Unpaired, M_y: Mask, G_y: Image, M_x: Mask, G_x: Image) -> Terms:
        """Eq. 3 literally: real and fake are shown with the same mask, so the mask alone tells nothing."""
        return super().judge(real, M_y, G_y, M_x, G_x) | {
            "D_ya": gan.judge(*verdicts(self.D_ya, attend(M_y, real.y), attend(M_y, G_y))) / 2,  # Eq. 3
            "D_xa": gan.judge(*verdicts(self.D_xa, attend(M_x, real.x), attend(M_x, G_x))) / 2,
        }
