"""Networks from an image (n, 3, h, w) to a code (n, m)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.nn.layer_spec import InstanceNorm, Norm, Style, build_layers
from aggan.types import Code, Image


class DenseEncoder(nn.Module):
    """IcGAN's: `F32 F64 F128 F256`, a fully connected layer, then the code (Perarnau et al., 2016, Table 1)."""

    def __init__(self, size: int, hidden: int | None, code_length: int, norm: Norm = nn.BatchNorm2d) -> None:
        """`size` is the side of the images in pixels, a multiple of 16.

        `hidden` is the width of the fully connected layer; None keeps the width of its input.
        """
        super().__init__()
        self.tower, filters = build_layers("F32 F64 F128 F256", 3, Style(norm))
        flat = filters * (size // 16) ** 2
        hidden = hidden or flat
        self.dense = nn.Sequential(nn.Linear(flat, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True))
        self.code = nn.Linear(hidden, code_length)

    def forward(self, image: Image) -> Code:
        return self.code(self.dense(self.tower(image).flatten(1))).float()


class GaussianEncoder(nn.Module):
    """BicycleGAN's: residual blocks, then mean and log variance of a code (Zhu et al., 2017b, Sec. 4).

    Each block halves height and width.
    """

    def __init__(self, blocks: int, code_length: int, width: int = 64) -> None:
        super().__init__()
        widths = [width * min(k, 4) for k in range(1, blocks + 2)]
        self.tower = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            *(_HalvingBlock(in_channels, out_channels) for in_channels, out_channels in pairwise(widths)),
        )
        self.mean, self.log_variance = nn.Linear(widths[-1], code_length), nn.Linear(widths[-1], code_length)

    def forward(self, image: Image) -> tuple[Code, Code]:
        features = F.leaky_relu(self.tower(image), 0.2).mean((2, 3))
        return self.mean(features).float(), self.log_variance(features).float()


class _HalvingBlock(nn.Module):
    """A pre-norm residual block with average pooling on both paths: (n, c, h, w) to (n, k, h / 2, w / 2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(in_channels)
        self.first = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.second = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.across = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k half_h half_w"]:
        y = self.first(F.leaky_relu(self.norm(x), 0.2))
        y = self.second(F.leaky_relu(self.norm(y), 0.2))
        return F.avg_pool2d(y, 2) + self.across(F.avg_pool2d(x, 2))


def reparameterize(mean: Code, log_variance: Code) -> Code:
    """A code from N(mean, variance), differentiable in both (the reparameterization trick; Kingma & Welling, 2014)."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()
