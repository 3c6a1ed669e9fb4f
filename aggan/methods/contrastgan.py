"""ContrastGAN (Liang, Zhang, Lin, Xing; ECCV 2018): the object is cut out, translated and put back.

    x, M_x     a picture of category a and the mask of its object;  y, M_y  those of category b
    f          features of a discriminator: the spatial mean of its last layer but one

There is no released code. The contrast's form is the paper's; the networks (CycleGAN's) and the
weights are choices made here. Translation of a new picture takes a face ellipse for the mask.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from aggan.data.face_ellipse import face_ellipse
from aggan.losses import contrasting, l1
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Crossed, System, Task, Terms, Turn, require_size
from aggan.nn.discriminators import PatchDiscriminator
from aggan.nn.generators import ResNetGenerator, fuse, resnet
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style
from aggan.types import Image, Mask, Masked, Translation


class Config(base.Config):
    """Weights and networks are choices made here."""

    system: Literal["contrastgan"] = "contrastgan"
    about: ClassVar[About] = About("ContrastGAN", "Liang, Zhang, Lin, Xing; ECCV 2018", "domains, masks")

    lambda_gan: float = Field(default=1.0, ge=0)
    lambda_contrast: float = Field(default=1.0, ge=0, description="Weight of the contrasting distance.")
    lambda_cycle: float = Field(default=10.0, ge=0)
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=9, ge=0)
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "ContrastGAN":
        require_size(task, "contrastgan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return ContrastGAN(self, task)


class Judged(NamedTuple):
    """What a category's discriminator says of pictures, and its features of them."""

    verdict: Tensor
    features: Tensor


class ContrastGAN(System):
    """One generator for all categories, one discriminator each."""

    batch_type = Masked
    translators = ("G",)

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = len(task.domains)
        trunk = resnet(config.generator_width, config.generator_blocks)
        # Behind reflected borders an instance norm would take a constant label map away again.
        self.G = ResNetGenerator(trunk, Style(border="zeros"), nn.Tanh(), codes=m)
        critic = Style(slope=0.2)
        self.critics = nn.ModuleList(PatchDiscriminator(3, config.discriminator_width, critic) for _ in range(m))
        self.codes: Tensor
        self.register_buffer("codes", torch.eye(m), persistent=False)
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generator", self.generator_loss, ("G",)),
            Turn("discriminators", self.discriminator_loss, ("critics",)),
        )

    def forward(self, batch: Masked) -> Crossed:
        return Crossed(
            y=self.edit(batch.x, batch.x_mask, batch.b).image, x=self.edit(batch.y, batch.y_mask, batch.a).image
        )

    def edit(self, image: Image, mask: Mask, to: int) -> Translation:
        """y' = M * G(x * M, c) + (1 - M) * x."""
        content = self.G(image * mask, self.codes[to].expand(len(image), -1))
        return Translation(fuse(content, mask, image), mask, content)

    def judge(self, k: int, image: Image) -> Judged:
        verdict, features = self.critics[k].look(image)  # type: ignore[operator]
        return Judged(verdict, features[-1].float().mean((2, 3)))

    def generator_loss(self, real: Masked, made: Crossed) -> Terms:
        c, a, b = self.config, real.a, real.b
        y, x = self.judge(b, made.y), self.judge(a, made.x)
        again = l1(self.edit(made.y, real.x_mask, a).image, real.x) + l1(
            self.edit(made.x, real.y_mask, b).image, real.y
        )
        contrast = self._contrast(y, b, real.y, real.x) + self._contrast(x, a, real.x, real.y)
        return {
            "gan": c.lambda_gan * (gan.fool(y.verdict) + gan.fool(x.verdict)),
            "contrast": c.lambda_contrast * contrast,
            "cycle": c.lambda_cycle * again,
        }

    def discriminator_loss(self, real: Masked, made: Crossed) -> Terms:
        c = self.config
        terms = {}
        sides = (("D_y", real.b, real.y, made.y, real.x), ("D_x", real.a, real.x, made.x, real.y))
        for name, k, wanted, fake, source in sides:
            judged = self.judge(k, fake.detach())
            terms[name] = c.lambda_gan * gan.judge(self.judge(k, wanted).verdict, judged.verdict)
            terms[f"{name} contrast"] = -c.lambda_contrast * self._contrast(judged, k, wanted, source)
        return terms

    def _contrast(self, made: Judged, k: int, wanted: Image, source: Image) -> Tensor:
        """Q: made pictures should be closer to the mean of real ones of their category than to their source."""
        aim = self.judge(k, wanted).features.mean(0, keepdim=True)
        return contrasting(made.features, aim, self.judge(k, source).features)

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        mask = face_ellipse(*image.shape[2:]).to(image.device).expand(len(image), 1, -1, -1)
        return self.edit(image, mask, self.task.domains.index(to))
