"""IcGAN (Perarnau, van de Weijer, Raducanu, Alvarez; 2016): invert a conditional GAN, then edit attributes.

    x, y        real image (n, 3, 64, 64) in [-1, 1], and its attributes (n, m) in {-1, 1}
    y~          wrong attributes: those of another domain
    z           noise (n, z) from N(0, 1)
    G(z, y)     generator
    D(x, y)     discriminator, a logit; s is the sigmoid
    E_z, E_y    encoders: from an image to its z and its y

            L_D  = 1/2 * {-E[log s(D(x, y))] - E[log(1 - s(D(G(z, y), y)))]}
                   + 1/2 * {-E[log s(D(x, y))] - E[log(1 - s(D(x, y~)))]}
            L_G  = -E[log s(D(G(z, y), y))]
    Eq. 2   L_Ez = E[(E_z(G(z, y)) - z)^2]
    Eq. 3   L_Ey = E[(E_y(x) - y)^2]

A translation is G(E_z(x), y) with the attributes y of the target. The training has two phases: first G and D learn,
then the encoders. E_z learns from G in eval mode, as in the released code. The code runs G 100 times after the first
phase to refresh the statistics of its batch norms; here each step of the second phase also does so.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.losses import cross_entropy as gan
from aggan.methods.base import (
    About,
    LossTerms,
    ManyDomainMethod,
    MethodConfig,
    Progress,
    Task,
    Update,
    during,
    require_size,
)
from aggan.nn.discriminators import Discriminator
from aggan.nn.encoders import DenseEncoder
from aggan.nn.generators import concat_code
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style, build_layers, transposed4
from aggan.types import Code, Image, LabelledBatch, Needs, Translation

Noise = Float[Tensor, "n z"]
ENCODER_BETAS = (0.1, 0.999)


class Config(MethodConfig):
    """The defaults are those of the released code. Each image has one domain: its attribute is 1, the others are -1."""

    method: Literal["icgan"] = "icgan"
    about: ClassVar[About] = About("IcGAN", "Perarnau, van de Weijer, Raducanu, Alvarez; 2016")
    needs: ClassVar[Needs] = Needs.LABELLED

    noise: int = Field(default=100, ge=1, description="Length of the noise z.")
    encoders_from: float = Field(
        default=25 / 40,
        gt=0,
        lt=1,
        description="Fraction of the training after which the encoders learn instead of the GAN: 25 of 40 epochs.",
    )
    encoder_lr_scale: float = Field(default=0.5, gt=0, description="Multiplies the learning rate of the encoders.")
    generator_width: int = Field(default=64, ge=1, description="Filters of the generator's last hidden layer.")
    discriminator_width: int = Field(default=64, ge=1, description="Filters of the discriminator's first layer.")
    released_init: bool = Field(
        default=False,
        description="The released code's initial weights: PyTorch's own in the encoders; else N(0, 0.02).",
    )

    def require_batch(self, batch: int) -> None:
        if batch < 2:
            raise UserError("icgan's batch norm needs more than one image: set --training.batch to 2 or more")

    def build(self, task: Task) -> "IcGAN":
        require_size(task, "icgan", task.size == 64, "64")
        return IcGAN(self, task)


class Generator(nn.Module):
    """From [z, y] through 4x4 transposed convolutions to an image of 64 px."""

    def __init__(self, code_length: int, width: int) -> None:
        """`code_length` is the length of [z, y]."""
        super().__init__()
        first = nn.ConvTranspose2d(code_length, 8 * width, 4)
        up = [transposed4(2 * k, k, nn.BatchNorm2d) for k in (4 * width, 2 * width, width)]
        start = nn.Sequential(first, nn.BatchNorm2d(8 * width), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(start, *up, nn.ConvTranspose2d(width, 3, 4, 2, 1))

    def forward(self, z: Noise, y: Code) -> Image:
        return self.layers(torch.cat((z, y), dim=1)[:, :, None, None]).float().tanh()


class AttributeDiscriminator(Discriminator):
    """DCGAN's discriminator; the attributes enter as constant maps after the first layer."""

    def __init__(self, code_length: int, width: int) -> None:
        """`code_length` is the length m of y."""
        super().__init__()
        style = Style(nn.BatchNorm2d, slope=0.2)
        self.first, _ = build_layers(f"C{width}+", 3, style)
        self.rest, _ = build_layers(f"C{2 * width} C{4 * width} C{8 * width}", width + code_length, style)
        self.head = nn.Conv2d(8 * width, 1, 4)

    def forward(self, image: Image, y: Code) -> Float[Tensor, "n 1 1 1"]:
        return self.head(self.rest(concat_code(self.first(self.augment(image)), y))).float()


class IcGANOutputs(NamedTuple):
    """The images of a step, and the noise and the attributes that they were generated from."""

    image: Image
    z: Noise
    y: Code


class IcGAN(ManyDomainMethod[IcGANOutputs]):
    """A conditional GAN, and encoders that invert it."""

    fixed_size = True
    inference_networks = ("G", "E_z")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        m = len(task.domains)
        self.G = Generator(config.noise + m, config.generator_width)
        self.D = AttributeDiscriminator(m, config.discriminator_width)
        self.E_z = DenseEncoder(task.size, None, config.noise)
        self.E_y = DenseEncoder(task.size, 512, m)
        init_normal(nn.ModuleList((self.G, self.D)) if config.released_init else self)

    def updates(self) -> tuple[Update[LabelledBatch, IcGANOutputs], ...]:
        first_phase, second_phase = during(0.0, self.config.encoders_from), self.encoders_learn
        lr_scale = self.config.encoder_lr_scale
        return (
            Update("discriminator", self.discriminator_loss, ("D",), first_phase),
            Update("generator", self.generator_loss, ("G",), first_phase),
            Update("encoders", self.encoder_loss, ("E_z", "E_y"), second_phase, lr_scale, ENCODER_BETAS),
        )

    def encoders_learn(self, progress: Progress) -> bool:
        """Whether the second phase has begun."""
        return progress.fraction >= self.config.encoders_from

    def forward(self, batch: LabelledBatch) -> IcGANOutputs:
        y = to_attributes(batch.code)
        z = torch.randn(len(y), self.config.noise, device=y.device)
        generate = self._generate_for_encoders if self.encoders_learn(self.progress) else self.G
        return IcGANOutputs(generate(z, y), z, y)

    @torch.no_grad()
    def _generate_for_encoders(self, z: Noise, y: Code) -> Image:
        """G(z, y) in eval mode, after a pass that refreshes the statistics of G's batch norms."""
        self.G(z, y)
        training = self.G.training
        image = self.G.eval()(z, y)
        self.G.train(training)
        return image

    def discriminator_loss(self, real: LabelledBatch, fake: IcGANOutputs) -> LossTerms:
        """L_D: real images with wrong attributes count as fakes, too."""
        y, wrong_y = to_attributes(real.code), to_attributes(draw_other_domain(real.code))
        fake_loss = gan.discriminator_loss(self.D(real.image, y), self.D(fake.image.detach(), fake.y))
        wrong_loss = gan.discriminator_loss(self.D(real.image, y), self.D(real.image, wrong_y))
        return {"D": fake_loss / 2, "D wrong": wrong_loss / 2}

    def generator_loss(self, real: LabelledBatch, fake: IcGANOutputs) -> LossTerms:
        """L_G."""
        return {"gan": gan.generator_loss(self.D(fake.image, fake.y))}

    def encoder_loss(self, real: LabelledBatch, fake: IcGANOutputs) -> LossTerms:
        """Eqs. 2 and 3."""
        return {
            "E_z": F.mse_loss(self.E_z(fake.image.detach()), fake.z),  # Eq. 2
            "E_y": F.mse_loss(self.E_y(real.image), to_attributes(real.code)),  # Eq. 3
        }

    def generate(self, image: Image, code: Code) -> Translation:
        return Translation(self.G(self.E_z(image), to_attributes(code)))


def to_attributes(code: Code) -> Code:
    """From one-hot codes to attributes in {-1, 1}."""
    return 2 * code - 1


def draw_other_domain(code: Code) -> Code:
    """For each one-hot code, that of another domain, drawn uniformly."""
    m = code.shape[1]
    shift = torch.randint(1, m, (len(code),), device=code.device)
    return F.one_hot((code.argmax(1) + shift) % m, m).to(code.dtype)
