"""BicycleGAN (Zhu, Zhang, Pathak, Darrell, Efros, Wang, Shechtman; NIPS 2017): many answers to one picture.

    x, y      a picture and one true answer (the paper's A and B)
    z         what x leaves open, N(0, 1);  E(y) is its distribution seen from the answer
    D         judges answers made from E(y), on two scales;  D_2 those made from random z

A batch has two halves: the first is encoded and made again, the second gives D_2 its real pictures.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.losses import l1, to_standard_normal
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Supervised, Task, Terms, Turn, require_size, require_two
from aggan.nn.discriminators import PatchDiscriminator
from aggan.nn.encoders import GaussianEncoder, drawn
from aggan.nn.freeze import frozen
from aggan.nn.init import xavier
from aggan.nn.layer_spec import InstanceNorm, Style
from aggan.nn.unet import Shape, UNet, levels_of
from aggan.types import Code, Image, Paired, Translation, whole


class Config(base.Config):
    """The released settings."""

    system: Literal["bicyclegan"] = "bicyclegan"
    about: ClassVar[About] = About("BicycleGAN", "Zhu, Zhang, Pathak et al.; NIPS 2017", "pairs")

    lambda_l1: float = Field(default=10.0, ge=0, description="Weight of the reconstruction (Eq. 3).")
    lambda_kl: float = Field(default=0.01, ge=0, description="Weight of the divergence of E(y) from N(0, 1) (Eq. 4).")
    lambda_z: float = Field(default=0.5, ge=0, description="Weight of the latent reconstruction (Eq. 6).")
    latent: int = Field(default=8, ge=1, description="Numbers in z.")
    generator_width: int = Field(default=64, ge=1)
    discriminator_width: int = Field(default=64, ge=2)
    encoder_width: int = Field(default=64, ge=1)

    def require_batch(self, batch: int) -> None:
        if batch % 2:
            raise UserError("bicyclegan halves its batches: set --training.batch to an even number")

    def build(self, task: Task) -> "BicycleGAN":
        require_two(task, "bicyclegan")
        require_size(task, "bicyclegan", levels_of(task.size) >= 6, "64, 128, 256, ...")
        return BicycleGAN(self, task)


class TwoScales(nn.Module):
    """Patches of a picture, and of the picture at half its size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        style = Style(slope=0.2)
        self.fine, self.coarse = PatchDiscriminator(3, width, style), PatchDiscriminator(3, width // 2, style)

    def forward(self, image: Image) -> tuple[Tensor, Tensor]:
        return self.fine(image), self.coarse(F.avg_pool2d(image, 3, 2, 1, count_include_pad=False))


class Answers(NamedTuple):
    """What a step makes of the first half's pictures."""

    encoded: Image
    random: Image
    z: Code
    mean: Code
    log_variance: Code


class BicycleGAN(Supervised):
    """cVAE-GAN and cLR-GAN together."""

    square = True
    noisy = True

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        levels = levels_of(task.size)
        self.G = UNet(levels, Shape(InstanceNorm, width=config.generator_width, codes=config.latent))
        self.E = GaussianEncoder(levels - 4, config.latent, config.encoder_width)
        self.D, self.D_2 = TwoScales(config.discriminator_width), TwoScales(config.discriminator_width)
        xavier(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generator", self.generator_loss, ("G", "E")),
            Turn("discriminators", self.discriminator_loss, ("D", "D_2")),
        )

    def forward(self, batch: Paired) -> Answers:
        x, y = (pictures[: len(pictures) // 2] for pictures in batch)
        mean, log_variance = self.E(y)
        z = torch.randn_like(mean)
        return Answers(self.G(x, drawn(mean, log_variance)), self.G(x, z), z, mean, log_variance)

    def generator_loss(self, real: Paired, made: Answers) -> Terms:
        c = self.config
        with frozen(self.E):  # the latent loss is the generator's alone
            read, _ = self.E(made.random)
        answer = real.y[: len(made.encoded)]
        return {
            "gan": sum_of(gan.fool(v) for v in self.D(made.encoded)),  # Eq. 2
            "gan random": sum_of(gan.fool(v) for v in self.D_2(made.random)),  # Eq. 5
            "l1": c.lambda_l1 * l1(made.encoded, answer),  # Eq. 3
            "kl": c.lambda_kl * to_standard_normal(made.mean, made.log_variance),  # Eq. 4
            "latent": c.lambda_z * l1(read, made.z),  # Eq. 6
        }

    def discriminator_loss(self, real: Paired, made: Answers) -> Terms:
        first, second = real.y.chunk(2)
        return {
            "D": self._judged(self.D, first, made.encoded),
            "D_2": self._judged(self.D_2, second, made.random),
        }

    def _judged(self, D: TwoScales, real: Image, fake: Image) -> Tensor:
        return sum_of(gan.judge(*verdicts) for verdicts in zip(D(real), D(fake.detach()), strict=True))

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """One of the answers: z is drawn anew at each call."""
        z = torch.randn(len(image), self.config.latent, device=image.device)
        return whole(self.G(image, z))


def sum_of(terms) -> Tensor:
    """The sum over the scales."""
    return torch.stack(list(terms)).sum()
