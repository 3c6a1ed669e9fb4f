"""Networks from picture to picture. Symbols as in the paper: M attention mask, R content, G translated picture."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aggan.nn.activation_checkpointing import Trunk
from aggan.nn.layer_spec import AffineInstanceNorm, Style, layers, transposed4
from aggan.types import Code, Image, Mask, Translation, whole


class OpenSigmoid(torch.autograd.Function):
    """A sigmoid whose slope never falls below a floor on the way back, so that a dead mask can revive."""

    @staticmethod
    def forward(ctx, logits: Tensor, floor: float) -> Tensor:  # type: ignore[override]
        mask = torch.sigmoid(logits)
        ctx.save_for_backward(mask)
        ctx.floor = floor
        return mask

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (mask,) = ctx.saved_tensors
        return gradient * (mask * (1 - mask)).clamp(min=ctx.floor), None


def fuse(content: Image, mask: Mask, source: Image) -> Image:
    """Eq. 1: G = R * M + x * (1 - M), the mask copied over the three channels."""
    return content * mask + source * (1 - mask)


def resnet(width: int, blocks: int) -> str:
    """CycleGAN's trunk in shorthand: `c7s1-64 d128 d256 R256*6 u128 u64` at width 64."""
    return f"c7s1-{width} d{2 * width} d{4 * width} R{4 * width}*{blocks} u{2 * width} u{width}"


def labelled(image: Float[Tensor, "n c h w"], code: Code | None) -> Tensor:
    """[x, c]: pictures or features with each number of their code as a constant map, (n, c + m, h, w)."""
    if code is None:
        return image
    maps = code.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])
    return torch.cat((image, maps), dim=1)


def _head(channels_in: int, channels: int, style: Style) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 7, padding=3, padding_mode=style.border, bias=style.bias)


STARGAN = Style(
    AffineInstanceNorm, partial(transposed4, bias=False), slope=0.0, border="zeros", bias=False, bare_bias=False
)
"""StarGAN's layers. Behind reflected borders an instance norm would take a constant label map away again."""


def stargan_trunk(width: int, blocks: int) -> str:
    """StarGAN's: `c7s1-64 C128 C256 R256*6 u128 u64` at width 64."""
    return f"c7s1-{width} C{2 * width} C{4 * width} R{4 * width}*{blocks} u{2 * width} u{width}"


CONTENT_BOUNDS = {"tanh": nn.Tanh, "linear": nn.Identity}
"""What keeps an attention generator's content in range, or does not, as the authors released it."""


class AttentionGenerator(nn.Module):
    """A generator with built-in attention (Sec. III-A): one trunk, `c7s1-4` at its end, fused by Eq. 1.

    The last layer is a plain convolution: behind the paper's literal BatchNorm-ReLU no content
    could be negative. The mask is a sigmoid of its first channel.
    """

    def __init__(self, trunk: str, style: Style, bound: nn.Module, floor: float = 0.0, codes: int = 0) -> None:
        """`bound` keeps the content in range: `nn.Tanh()`, or `nn.Identity()` as the authors released it.

        With `codes` it takes as many numbers beside each picture that say what to make of it.
        """
        super().__init__()
        parts, channels = layers(trunk, 3 + codes, style)
        self.trunk = Trunk(*parts)
        self.head = _head(channels, 4, style)
        self.bound = bound
        self.floor = floor

    def forward(self, image: Image, code: Code | None = None) -> Translation:
        """Sides that are multiples of 4 come back at their own size."""
        # A mask in bfloat16 would know only some hundred values, so the fusion is in float32.
        logits, content = self.head(self.trunk(labelled(image, code))).float().split((1, 3), dim=1)
        mask = OpenSigmoid.apply(logits, self.floor) if self.floor else torch.sigmoid(logits)
        content = self.bound(content)
        return Translation(fuse(content, mask, image.float()), mask, content)


class _ResNet(nn.Module):
    """A trunk, then `c7s1-3` (Johnson et al., 2016)."""

    def __init__(self, trunk: str, style: Style, bound: nn.Module, codes: int = 0) -> None:
        super().__init__()
        parts, channels = layers(trunk, 3 + codes, style)
        self.trunk = Trunk(*parts)
        self.head = _head(channels, 3, style)
        self.bound = bound

    def paint(self, image: Image, code: Code | None) -> Image:
        """Sides that are multiples of 4 come back at their own size."""
        return self.bound(self.head(self.trunk(labelled(image, code))).float())


class ResNetGenerator(_ResNet):
    """CycleGAN's generator, or StarGAN's with a code."""

    def forward(self, image: Image, code: Code | None = None) -> Image:
        return self.paint(image, code)


class PlainGenerator(_ResNet):
    """The same in place of a generator with attention: the mask is 1 everywhere."""

    def forward(self, image: Image, code: Code | None = None) -> Translation:
        return whole(self.paint(image, code))
