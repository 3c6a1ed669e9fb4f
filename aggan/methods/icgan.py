"""IcGAN (Perarnau, van de Weijer, Raducanu, Alvarez; 2016): turn a conditional GAN round and edit.

    z, y        noise and attributes in {-1, 1};  G(z, y) makes a picture of both
    E_z, E_y    encoders: which z, which y made this picture?
    Edit        G(E_z(x), y of the target)

The acts follow each other in one training: first G and D, then the encoders.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.losses import cross_entropy as gan
from aggan.methods import base
from aggan.methods.base import About, ManyDomains, Task, Terms, Turn, during, require_size
from aggan.nn.encoders import DenseEncoder
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style, layers, transposed4
from aggan.types import Code, Image, Labelled, Translation, whole

Noise = Float[Tensor, "n z"]
ENCODER_BETAS = (0.1, 0.999)


class Config(base.Config):
    """The released settings; domains exclude each other, so one attribute is 1 and the others are -1."""

    system: Literal["icgan"] = "icgan"
    about: ClassVar[About] = About("IcGAN", "Perarnau, van de Weijer, Raducanu, Alvarez; 2016", "domains")

    noise: int = Field(default=100, ge=1, description="Numbers in z.")
    encoders_from: float = Field(
        default=25 / 40, gt=0, lt=1, description="Share of the training that is the GAN's: 25 of 25 + 15 epochs."
    )
    encoder_rate: float = Field(default=0.5, gt=0, description="The encoders' rate, times the recipe's.")
    generator_width: int = Field(default=64, ge=1)
    discriminator_width: int = Field(default=64, ge=1)

    def require_batch(self, batch: int) -> None:
        if batch < 2:
            raise UserError("icgan's batch norm needs other pictures: set --training.batch to 2 or more")

    def build(self, task: Task) -> "IcGAN":
        require_size(task, "icgan", task.size == 64, "64")
        return IcGAN(self, task)


class Generator(nn.Module):
    """From [z, y] through 4x4 transposed convolutions to a picture of 64 px."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        first = nn.ConvTranspose2d(codes, 8 * width, 4)
        up = [transposed4(2 * w, w, nn.BatchNorm2d) for w in (4 * width, 2 * width, width)]
        start = nn.Sequential(first, nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(start, *up, nn.ConvTranspose2d(width, 3, 4, 2, 1))

    def forward(self, z: Noise, y: Code) -> Image:
        return self.layers(torch.cat((z, y), dim=1)[:, :, None, None]).float().tanh()


class Discriminator(nn.Module):
    """Sees the attributes behind its first layer."""

    def __init__(self, attributes: int, width: int) -> None:
        super().__init__()
        style = Style(nn.BatchNorm2d, slope=0.2)
        self.first, _ = layers(f"C{width}+", 3, style)
        self.rest, _ = layers(f"C{2 * width} C{4 * width} C{8 * width}", width + attributes, style)
        self.judge = nn.Conv2d(8 * width, 1, 4)

    def forward(self, image: Image, y: Code) -> Tensor:
        features = self.first(image)
        maps = y.to(features.dtype)[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.judge(self.rest(torch.cat((features, maps), dim=1))).float()


class Imagined(NamedTuple):
    """A picture made of nothing, and what it was made of."""

    image: Image
    z: Noise
    y: Code


class IcGAN(ManyDomains):
    """Two acts: a conditional GAN, then its inverse."""

    square = True
    translators = ("G", "E_z")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = len(task.domains)
        self.G = Generator(config.noise + m, config.generator_width)
        self.D = Discriminator(m, config.discriminator_width)
        self.E_z = DenseEncoder(task.size, None, config.noise)
        self.E_y = DenseEncoder(task.size, 512, m)
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        c = self.config
        first, second = during(0.0, c.encoders_from), during(c.encoders_from, 1.0)
        return (
            Turn("discriminator", self.discriminator_loss, ("D",), first),
            Turn("generator", self.generator_loss, ("G",), first),
            Turn("encoders", self.encoder_loss, ("E_z", "E_y"), second, c.encoder_rate, ENCODER_BETAS),
        )

    def forward(self, batch: Labelled) -> Imagined:
        y = attributes(batch.code)
        z = torch.randn(len(y), self.config.noise, device=y.device)
        return Imagined(self.G(z, y), z, y)

    def discriminator_loss(self, real: Labelled, fake: Imagined) -> Terms:
        """Real pictures with wrong attributes are fakes, too."""
        y = attributes(real.code)
        wrong = attributes(other(real.code))
        judged = gan.judge(self.D(real.image, y), self.D(fake.image.detach(), fake.y))
        mistaken = gan.judge(self.D(real.image, y), self.D(real.image, wrong))
        return {"D": judged / 2, "D wrong": mistaken / 2}

    def generator_loss(self, real: Labelled, fake: Imagined) -> Terms:
        return {"gan": gan.fool(self.D(fake.image, fake.y))}

    def encoder_loss(self, real: Labelled, fake: Imagined) -> Terms:
        return {
            "E_z": F.mse_loss(self.E_z(fake.image.detach()), fake.z),  # Eq. 2
            "E_y": F.mse_loss(self.E_y(real.image), attributes(real.code)),  # Eq. 3
        }

    def make(self, image: Image, code: Code) -> Translation:
        return whole(self.G(self.E_z(image), attributes(code)))


def attributes(code: Code) -> Code:
    """One-hot to {-1, 1}."""
    return 2 * code - 1


def other(code: Code) -> Code:
    """Of each picture, a domain that it does not belong to."""
    m = code.shape[1]
    shift = torch.randint(1, m, (len(code),), device=code.device)
    return F.one_hot((code.argmax(1) + shift) % m, m).to(code.dtype)
