"""ContrastGAN (Liang, Zhang, Lin, Xing; ECCV 2018): the object is cut out, translated and pasted back.

    x, y        real images of the categories a and b, (n, 3, h, w) in [-1, 1]; each step draws a and b
    M_x, M_y    given masks of their objects, (n, 1, h, w) in [0, 1]
    c           one-hot code (n, m) of the target category
    G(x, c)     generator
    y'          M_x * G(x * M_x, c) + (1 - M_x) * x: the translation of x; x' is that of y
    D_b         discriminator of category b, a PatchGAN
    f           features (n, channels) of D_b: the spatial mean of its last feature maps
    f_y         the mean of f(y) over the batch

    Q(y')   = -log(e^-||f(y') - f_y||_1 / (e^-||f(y') - f_y||_1 + e^-||f(y') - f(x)||_1))
    L_D_b   = lambda_gan * {E[(D_b(y) - 1)^2] + E[D_b(y')^2]} - lambda_contrast * E[Q(y')]
    L_G     = lambda_gan * {E[(D_b(y') - 1)^2] + E[(D_a(x') - 1)^2]} + lambda_contrast * {E[Q(y')] + E[Q(x')]}
              + lambda_cycle * {E[||x'' - x||_1] + E[||y'' - y||_1]}

where x'' is y' translated back within M_x, and y'' is x' translated back within M_y. No code was released. The form of
Q is the paper's; the networks (CycleGAN's) and the weights are choices made here. AGGAN's authors gave it face masks
from OpenFace. Here the masks are those of the data set (`masks/face`), which `aggan data prepare --openface` makes from
OpenFace's landmarks, or a face ellipse. New images are translated within the ellipse.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.data.face_ellipse import face_ellipse
from aggan.losses import contrastive, l1
from aggan.losses import least_squares as gan
from aggan.methods.base import (
    About,
    LossTerms,
    Method,
    MethodConfig,
    Task,
    TwoWayOutputs,
    Update,
    real_of_pair,
    require_size,
)
from aggan.nn.discriminators import PatchDiscriminator, Scores
from aggan.nn.generators import ResNetGenerator, fuse, resnet_trunk
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style
from aggan.types import Image, Mask, MaskedBatch, Needs, Translation


class Config(MethodConfig):
    """The defaults are choices made here."""

    method: Literal["contrastgan"] = "contrastgan"
    about: ClassVar[About] = About("ContrastGAN", "Liang, Zhang, Lin, Xing; ECCV 2018")
    needs: ClassVar[Needs] = Needs.MASKED

    lambda_gan: float = Field(default=1.0, ge=0, description="Weight of the adversarial loss.")
    lambda_contrast: float = Field(default=1.0, ge=0, description="Weight of the contrastive loss Q.")
    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's first layer.")
    generator_blocks: int = Field(default=9, ge=0, description="Residual blocks of the generator.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def build(self, task: Task) -> "ContrastGAN":
        require_size(task, "contrastgan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return ContrastGAN(self, task)


class DiscriminatorOutputs(NamedTuple):
    """The scores of a discriminator, and its features f."""

    scores: Scores
    features: Float[Tensor, "n channels"]


class ContrastGAN(Method[MaskedBatch, TwoWayOutputs]):
    """One generator for all categories, and one discriminator for each."""

    inference_networks = ("G",)
    depends_on_place = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = len(task.domains)
        trunk = resnet_trunk(config.generator_width, config.generator_blocks)
        # With reflection padding an instance norm would remove constant label maps.
        self.G = ResNetGenerator(trunk, Style(padding_mode="zeros"), nn.Tanh(), code_length=m)
        style = Style(slope=0.2)
        self.discriminators = nn.ModuleList(PatchDiscriminator(3, config.discriminator_width, style) for _ in range(m))
        self.codes: Tensor
        self.register_buffer("codes", torch.eye(m), persistent=False)
        init_normal(self)

    def updates(self) -> tuple[Update[MaskedBatch, TwoWayOutputs], ...]:
        return (
            Update("generator", self.generator_loss, ("G",)),
            Update("discriminators", self.discriminator_loss, ("discriminators",), real_inputs=real_of_pair),
        )

    def forward(self, batch: MaskedBatch) -> TwoWayOutputs:
        return TwoWayOutputs(
            y=self.edit(batch.x, batch.x_mask, batch.b).image, x=self.edit(batch.y, batch.y_mask, batch.a).image
        )

    def edit(self, image: Image, mask: Mask, to: int) -> Translation:
        """y' = M * G(x * M, c) + (1 - M) * x for the category of index `to`."""
        content = self.G(image * mask, self.codes[to].expand(len(image), -1))
        return Translation(fuse(content, mask, image), mask, content)

    def discriminate(self, k: int, image: Image) -> DiscriminatorOutputs:
        """D_k and f."""
        D_k = self.discriminators[k]
        assert isinstance(D_k, PatchDiscriminator)
        scores, features = D_k.with_features(D_k.augment(image))
        return DiscriminatorOutputs(scores, features[-1].float().mean((2, 3)))

    def generator_loss(self, real: MaskedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_G."""
        c, a, b = self.config, real.a, real.b
        fake_y, fake_x = self.discriminate(b, outputs.y), self.discriminate(a, outputs.x)
        x_loss = l1(self.edit(outputs.y, real.x_mask, a).image, real.x)
        y_loss = l1(self.edit(outputs.x, real.y_mask, b).image, real.y)
        contrast = self._contrast(fake_y, b, real.y, real.x) + self._contrast(fake_x, a, real.x, real.y)
        return {
            "gan": c.lambda_gan * (gan.generator_loss(fake_y.scores) + gan.generator_loss(fake_x.scores)),
            "contrast": c.lambda_contrast * contrast,
            "cycle": c.lambda_cycle * (x_loss + y_loss),
        }

    def discriminator_loss(self, real: MaskedBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_D of both categories."""
        c = self.config
        terms: LossTerms = {}
        sides = (("D_y", real.b, real.y, outputs.y, real.x), ("D_x", real.a, real.x, outputs.x, real.y))
        for name, k, target, output, source in sides:
            fake = self.discriminate(k, output.detach())
            terms[name] = c.lambda_gan * gan.discriminator_loss(self.discriminate(k, target).scores, fake.scores)
            terms[f"{name} contrast"] = -c.lambda_contrast * self._contrast(fake, k, target, source)
        return terms

    def _contrast(self, fake: DiscriminatorOutputs, k: int, target: Image, source: Image) -> Float[Tensor, ""]:
        """Q: translations should be closer to the mean of real images of their category than to their sources."""
        target_mean = self.discriminate(k, target).features.mean(0, keepdim=True).expand_as(fake.features)
        return contrastive(fake.features, target_mean, self.discriminate(k, source).features)

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """Translates within a face ellipse."""
        mask = face_ellipse(*image.shape[2:]).to(image.device).expand(len(image), 1, -1, -1)
        return self.edit(image, mask, self.task.domains.index(to))
