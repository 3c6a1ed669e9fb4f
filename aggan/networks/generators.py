"""Networks from picture to picture. Symbols as in the paper: M attention mask, R content, G translated picture."""

import torch
from torch import Tensor, nn

from aggan.batches import Image, Mask, Translation
from aggan.networks.notation import Style, layers


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


class AttentionGenerator(nn.Module):
    """A generator with built-in attention (Sec. III-A): one trunk, `c7s1-4` at its end, fused by Eq. 1.

    The last layer is a plain convolution: behind the paper's literal BatchNorm-ReLU no content
    could be negative. The mask is a sigmoid of its first channel.
    """

    def __init__(self, trunk: str, style: Style, bound: nn.Module, floor: float = 0.0) -> None:
        """`bound` keeps the content in range: `nn.Tanh()`, or `nn.Identity()` as the authors released it."""
        super().__init__()
        self.trunk, channels = layers(trunk, 3, style)
        self.head = nn.Conv2d(channels, 4, 7, padding=3, padding_mode="reflect")
        self.bound = bound
        self.floor = floor

    def forward(self, image: Image) -> Translation:
        """Sides that are multiples of 4 come back at their own size."""
        # A mask in bfloat16 would know only some hundred values, so the fusion is in float32.
        logits, content = self.head(self.trunk(image)).float().split((1, 3), dim=1)
        mask = OpenSigmoid.apply(logits, self.floor) if self.floor else torch.sigmoid(logits)
        content = self.bound(content)
        return Translation(fuse(content, mask, image.float()), mask, content)


class PlainGenerator(nn.Module):
    """The same generator without attention: the mask is 1 everywhere, so the content is the picture."""

    def __init__(self, trunk: str, style: Style, bound: nn.Module) -> None:
        super().__init__()
        self.trunk, channels = layers(trunk, 3, style)
        self.head = nn.Conv2d(channels, 3, 7, padding=3, padding_mode="reflect")
        self.bound = bound

    def forward(self, image: Image) -> Translation:
        content = self.bound(self.head(self.trunk(image)).float())
        return Translation(content, torch.ones_like(content[:, :1]), content)
