"""Networks from image to image.

n, h, w    images in a batch, height and width in pixels
m          length of a code
x          source image, (n, 3, h, w) in [-1, 1]
M          attention mask, (n, 1, h, w) in [0, 1]
R          content, (n, 3, h, w)
G          translated image, (n, 3, h, w)
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aggan.nn.activation_checkpointing import Trunk
from aggan.nn.layer_spec import AffineInstanceNorm, InstanceNorm, Style, build_layers, transposed4
from aggan.types import Code, Image, Mask, Translation


def fuse(content: Image, mask: Mask, source: Image) -> Image:
    """Eq. 1: G = R * M + x * (1 - M), with the mask repeated over the three channels."""
    return content * mask + source * (1 - mask)


def concat_code(image: Float[Tensor, "n c h w"], code: Code | None) -> Float[Tensor, "n c_plus_m h w"]:
    """[x, c]: (n, c, h, w) to (n, c + m, h, w). Each number of a code becomes a constant map."""
    if code is None:
        return image
    maps = code.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])
    return torch.cat((image, maps), dim=1)


def resnet_trunk(width: int, blocks: int) -> str:
    """The layers of CycleGAN's trunk: `c7s1-64 d128 d256 R256*6 u128 u64` for width 64 and 6 blocks."""
    return f"c7s1-{width} d{2 * width} d{4 * width} R{4 * width}*{blocks} u{2 * width} u{width}"


def stargan_trunk(width: int, blocks: int) -> str:
    """The layers of StarGAN's trunk: `c7s1-64 C128 C256 R256*6 u128 u64` for width 64 and 6 blocks."""
    return f"c7s1-{width} C{2 * width} C{4 * width} R{4 * width}*{blocks} u{2 * width} u{width}"


STARGAN = Style(
    AffineInstanceNorm,
    partial(transposed4, bias=False),
    slope=0.0,
    padding_mode="zeros",
    bias=False,
    bias_without_norm=False,
)
"""The style of StarGAN's layers. With reflection padding an instance norm would remove constant label maps."""

CONTENT_BOUNDS = {"tanh": nn.Tanh, "linear": nn.Identity}
"""The last activation of the content: tanh, or none as the authors released it."""


def split_and_fuse(output: Float[Tensor, "n 4 h w"], bound: nn.Module, image: Image) -> Translation:
    """Eq. 1 with a generator's last four channels: the mask before its sigmoid, the content before its `bound`."""
    # The fusion is in float32: bfloat16 has only a few hundred values between 0 and 1.
    logits, content = output.float().split((1, 3), dim=1)
    mask = torch.sigmoid(logits)
    content = bound(content)
    return Translation(fuse(content, mask, image.float()), mask, content)


class AttentionGenerator(nn.Module):
    """A generator with built-in attention (Sec. III-A): a trunk, then `c7s1-4`, fused with the source by Eq. 1.

    The last layer is a plain convolution. The paper's literal batch norm and ReLU after it would allow no negative
    content. Its first channel is the mask, through a sigmoid; the other three are the content.
    """

    def __init__(self, trunk: str, style: Style, bound: nn.Module, code_length: int = 0) -> None:
        """`bound` is the last activation of the content: `nn.Tanh()`, or `nn.Identity()` as the authors released it."""
        super().__init__()
        layers, channels = build_layers(trunk, 3 + code_length, style)
        self.trunk = Trunk(*layers)
        self.head = _head(channels, 4, style)
        self.bound = bound

    def forward(self, image: Image, code: Code | None = None) -> Translation:
        """The output has the size of the input if its sides are multiples of 4."""
        return split_and_fuse(self.head(self.trunk(concat_code(image, code))), self.bound, image)


class CodedNorm(nn.Module):
    """Instance norm with a scale and a shift that depend on a code (Dumoulin et al., 2017)."""

    def __init__(self, channels: int, code_length: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.affine = nn.Linear(code_length, 2 * channels, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"], code: Code) -> Float[Tensor, "n c h w"]:
        scale, shift = self.affine(code)[:, :, None, None].to(x.dtype).chunk(2, dim=1)
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class CodedResidual(nn.Module):
    """`Rk` with norms that depend on a code."""

    def __init__(self, channels: int, code_length: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm1 = CodedNorm(channels, code_length)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.norm2 = CodedNorm(channels, code_length)

    def forward(self, x: Float[Tensor, "n c h w"], code: Code) -> Float[Tensor, "n c h w"]:
        return x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x), code))), code)


class CodedAttentionGenerator(nn.Module):
    """An `AttentionGenerator` whose residual blocks know a code."""

    def __init__(self, width: int, blocks: int, style: Style, bound: nn.Module, code_length: int) -> None:
        super().__init__()
        encoder, channels = build_layers(f"c7s1-{width} d{2 * width} d{4 * width}", 3, style)
        self.encoder = Trunk(*encoder)
        self.blocks = nn.ModuleList(CodedResidual(channels, code_length) for _ in range(blocks))
        decoder, channels = build_layers(f"u{2 * width} u{width}", channels, style)
        self.decoder = Trunk(*decoder)
        self.head = _head(channels, 4, style)
        self.bound = bound

    def forward(self, image: Image, code: Code) -> Translation:
        features = self.encoder(image)
        for block in self.blocks:
            features = block(features, code)
        return split_and_fuse(self.head(self.decoder(features)), self.bound, image)


class _ResNet(nn.Module):
    """A trunk, then `c7s1-3` (Johnson et al., 2016)."""

    def __init__(self, trunk: str, style: Style, bound: nn.Module, code_length: int = 0) -> None:
        """`bound` is the last activation."""
        super().__init__()
        layers, channels = build_layers(trunk, 3 + code_length, style)
        self.trunk = Trunk(*layers)
        self.head = _head(channels, 3, style)
        self.bound = bound

    def generate(self, image: Image, code: Code | None) -> Image:
        """The output has the size of the input if its sides are multiples of 4."""
        return self.bound(self.head(self.trunk(concat_code(image, code))).float())


class ResNetGenerator(_ResNet):
    """CycleGAN's generator; with a code, StarGAN's."""

    def forward(self, image: Image, code: Code | None = None) -> Image:
        return self.generate(image, code)


class PlainGenerator(_ResNet):
    """The interface of `AttentionGenerator` without attention: the translation has no mask."""

    def forward(self, image: Image, code: Code | None = None) -> Translation:
        return Translation(self.generate(image, code))


def _head(in_channels: int, out_channels: int, style: Style) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 7, padding=3, padding_mode=style.padding_mode, bias=style.bias)
