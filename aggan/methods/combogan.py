"""ComboGAN (Anoosheh, Agustsson, Timofte, Van Gool; CVPRW 2018): an encoder and a decoder a domain.

    G_ab = decoder_b(encoder_a(x)): any two domains make a CycleGAN; two are drawn a step

The layers are those of the first release (2017).
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.losses import l1
from aggan.losses import least_squares as gan
from aggan.methods import base
from aggan.methods.base import About, Crossed, System, Task, Terms, Turn, require_size
from aggan.nn.discriminators import PatchDiscriminator, verdicts
from aggan.nn.image_pool import Pool
from aggan.nn.init import initialise
from aggan.nn.layer_spec import Style, layers, transposed4
from aggan.types import Crossing, Image, Translation, whole


class Config(base.Config):
    """The first release's settings."""

    system: Literal["combogan"] = "combogan"
    about: ClassVar[About] = About("ComboGAN", "Anoosheh, Agustsson, Timofte, Van Gool; CVPRW 2018", "domains")

    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle loss.")
    pool: int = Field(default=50, ge=0, description="Past pictures kept of each domain.")
    generator_width: int = Field(default=64, ge=1)
    generator_blocks: int = Field(default=9, ge=1, description="Residual blocks; four of nine encode.")
    discriminator_width: int = Field(default=64, ge=1)

    def build(self, task: Task) -> "ComboGAN":
        require_size(task, "combogan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return ComboGAN(self, task)


class Decoder(nn.Module):
    """From features to a picture: `R256*5 u128 u64 c7s1-3`."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        trunk = f"R{4 * width}*{blocks} u{2 * width} u{width}"
        self.trunk, channels = layers(trunk, 4 * width, Style(upsampling=transposed4))
        self.head = nn.Conv2d(channels, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, features: Tensor) -> Image:
        return self.head(self.trunk(features)).float().tanh()


class ComboGAN(System):
    """What grows with the number of domains is one encoder, one decoder and one discriminator each."""

    batch_type = Crossing
    translators = ("encoders", "decoders")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        w, domains = config.generator_width, range(len(task.domains))
        encoding = 4 * config.generator_blocks // 9
        encoder = f"c7s1-{w} d{2 * w} d{4 * w} R{4 * w}*{encoding}"
        self.encoders = nn.ModuleList(layers(encoder, 3, Style())[0] for _ in domains)
        self.decoders = nn.ModuleList(Decoder(w, config.generator_blocks - encoding) for _ in domains)
        critic = Style(slope=0.2)
        self.critics = nn.ModuleList(PatchDiscriminator(3, config.discriminator_width, critic) for _ in domains)
        self.past = nn.ModuleList(Pool(config.pool) for _ in domains)
        initialise(self)

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn("generators", self.generator_loss, ("encoders", "decoders")),
            Turn("discriminators", self.discriminator_loss, ("critics",)),
        )

    def forward(self, batch: Crossing) -> Crossed:
        x, y, a, b = batch
        return Crossed(y=self.cross(x, a, b), x=self.cross(y, b, a))

    def cross(self, image: Image, a: int, b: int) -> Image:
        """G_ab."""
        return self.decoders[b](self.encoders[a](image))

    def generator_loss(self, real: Crossing, made: Crossed) -> Terms:
        a, b = real.a, real.b
        again = l1(self.cross(made.y, b, a), real.x) + l1(self.cross(made.x, a, b), real.y)
        return {
            "gan": gan.fool(self.critics[b](made.y)) + gan.fool(self.critics[a](made.x)),
            "cycle": self.config.lambda_cycle * again,
        }

    def discriminator_loss(self, real: Crossing, made: Crossed) -> Terms:
        a, b = real.a, real.b
        (G_y,), (G_x,) = self.past[b](made.y), self.past[a](made.x)
        return {
            "D_y": gan.judge(*verdicts(self.critics[b], real.y, G_y)) / 2,
            "D_x": gan.judge(*verdicts(self.critics[a], real.x, G_x)) / 2,
        }

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        b, a = self.task.domains.index(to), self._encoder_for(to, source)
        return whole(self.cross(image, a, b))

    def _encoder_for(self, to: str, source: str | None) -> int:
        """That of the pictures' domain; of two domains it is the other one."""
        if source is not None:
            return self.task.domains.index(source)
        others = [k for k, name in enumerate(self.task.domains) if name != to]
        if len(others) > 1:
            raise UserError("combogan has an encoder for each domain: say where the pictures come from with --source")
        return others[0]
