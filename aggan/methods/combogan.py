"""ComboGAN (Anoosheh, Agustsson, Timofte, Van Gool; CVPRW 2018): an encoder and a decoder for each domain.

    x, y         real images of the a-th and the b-th domain, (n, 3, h, w) in [-1, 1]; each step draws a and b
    enc_a        encoder of the a-th domain
    dec_b        decoder of the b-th domain
    G_ab         dec_b(enc_a(x)): generator between the two domains
    D_a          discriminator of the a-th domain, a PatchGAN that pads 2: 35x35 scores at 256 px, 19x19 at 128

    L_D = 1/2 * {E[(D_b(y) - 1)^2] + E[D_b(G_ab(x))^2]} + 1/2 * {E[(D_a(x) - 1)^2] + E[D_a(G_ba(y))^2]}
    L_G = E[(D_b(G_ab(x)) - 1)^2] + E[(D_a(G_ba(y)) - 1)^2]
          + lambda_cycle * {E[||G_ba(G_ab(x)) - x||_1] + E[||G_ab(G_ba(y)) - y||_1]}

These are CycleGAN's losses. The layers are those of the first release (2017).
"""

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.losses import l1
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
from aggan.nn.discriminators import Discriminator, PatchDiscriminator, discriminate
from aggan.nn.image_pool import ImagePool
from aggan.nn.init import init_normal
from aggan.nn.layer_spec import Style, build_layers, transposed4
from aggan.types import CrossDomainBatch, Image, Needs, Translation


class Config(MethodConfig):
    """The defaults are those of the first release."""

    method: Literal["combogan"] = "combogan"
    about: ClassVar[About] = About("ComboGAN", "Anoosheh, Agustsson, Timofte, Van Gool; CVPRW 2018")
    needs: ClassVar[Needs] = Needs.CROSS_DOMAIN

    lambda_cycle: float = Field(default=10.0, ge=0, description="Weight of the cycle-consistency loss.")
    pool: int = Field(default=50, ge=0, description="Size of the image pool of each discriminator.")
    generator_width: int = Field(default=64, ge=1, description="Filters of an encoder's first layer.")
    generator_blocks: int = Field(
        default=9, ge=1, description="Residual blocks of an encoder and a decoder together; 4/9 of them encode."
    )
    discriminator_width: int = Field(default=64, ge=1, description="Filters of a discriminator's first layer.")

    def build(self, task: Task) -> "ComboGAN":
        require_size(task, "combogan", task.size >= 32 and task.size % 4 == 0, "multiples of 4 from 32 on")
        return ComboGAN(self, task)


class Decoder(nn.Module):
    """From the features of an encoder to an image: `R256*5 u128 u64 c7s1-3` for width 64."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        trunk = f"R{4 * width}*{blocks} u{2 * width} u{width}"
        self.trunk, channels = build_layers(trunk, 4 * width, Style(upsampling=transposed4))
        self.head = nn.Conv2d(channels, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, features: Float[Tensor, "n c h_over_4 w_over_4"]) -> Image:
        return self.head(self.trunk(features)).float().tanh()


class ComboGAN(Method[CrossDomainBatch, TwoWayOutputs]):
    """Each further domain adds one encoder, one decoder and one discriminator."""

    adaptive_augmentation = True
    inference_networks = ("encoders", "decoders")

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(task)
        self.config = config
        width, domains = config.generator_width, range(len(task.domains))
        encoder_blocks = 4 * config.generator_blocks // 9
        encoder = f"c7s1-{width} d{2 * width} d{4 * width} R{4 * width}*{encoder_blocks}"
        self.encoders = nn.ModuleList(build_layers(encoder, 3, Style())[0] for _ in domains)
        self.decoders = nn.ModuleList(Decoder(width, config.generator_blocks - encoder_blocks) for _ in domains)
        style = Style(slope=0.2, padding=2)
        self.discriminators = nn.ModuleList(PatchDiscriminator(3, config.discriminator_width, style) for _ in domains)
        self.pools = nn.ModuleList(ImagePool(config.pool) for _ in domains)
        init_normal(self)

    def updates(self) -> tuple[Update[CrossDomainBatch, TwoWayOutputs], ...]:
        return (
            Update("generators", self.generator_loss, ("encoders", "decoders")),
            Update("discriminators", self.discriminator_loss, ("discriminators",), real_inputs=real_of_pair),
        )

    def forward(self, batch: CrossDomainBatch) -> TwoWayOutputs:
        x, y, a, b = batch
        return TwoWayOutputs(y=self.generate(x, a, b), x=self.generate(y, b, a))

    def generate(self, image: Image, a: int, b: int) -> Image:
        """G_ab."""
        return self.decoders[b](self.encoders[a](image))

    def generator_loss(self, real: CrossDomainBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_G."""
        a, b = real.a, real.b
        D_a, D_b = self.discriminators[a], self.discriminators[b]
        reconstruction_loss = l1(self.generate(outputs.y, b, a), real.x) + l1(self.generate(outputs.x, a, b), real.y)
        return {
            "gan": gan.generator_loss(D_b(outputs.y)) + gan.generator_loss(D_a(outputs.x)),
            "cycle": self.config.lambda_cycle * reconstruction_loss,
        }

    def discriminator(self, k: int) -> Discriminator:
        """D_k."""
        D_k = self.discriminators[k]
        assert isinstance(D_k, Discriminator)
        return D_k

    def discriminator_loss(self, real: CrossDomainBatch, outputs: TwoWayOutputs) -> LossTerms:
        """L_D on images of the pools."""
        a, b = real.a, real.b
        (G_y,), (G_x,) = self.pools[b](outputs.y), self.pools[a](outputs.x)
        return {
            "D_y": gan.discriminator_loss(*discriminate(self.discriminator(b), real.y, G_y)) / 2,
            "D_x": gan.discriminator_loss(*discriminate(self.discriminator(a), real.x, G_x)) / 2,
        }

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """Raises `UserError` if `source` is missing and there are more than two domains."""
        b, a = self.task.domains.index(to), self._source_index(to, source)
        return Translation(self.generate(image, a, b))

    def _source_index(self, to: str, source: str | None) -> int:
        if source is not None:
            return self.task.domains.index(source)
        others = [k for k, name in enumerate(self.task.domains) if name != to]
        if len(others) > 1:
            raise UserError("combogan has an encoder for each domain: name the domain of the images with --source")
        return others[0]
