"""Networks from a picture to a code."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.nn.layer_spec import InstanceNorm, Norm, Style, layers
from aggan.types import Code, Image


class DenseEncoder(nn.Module):
    """IcGAN's: `F32 F64 F128 F256`, one fully connected layer, then the code (Perarnau et al., 2016, Table 1)."""

    def __init__(self, size: int, hidden: int | None, codes: int, norm: Norm = nn.BatchNorm2d) -> None:
        """`hidden` units of the layer in between; as many as come in if None."""
        super().__init__()
        self.tower, filters = layers("F32 F64 F128 F256", 3, Style(norm))
        flat = filters * (size // 16) ** 2
        hidden = hidden or flat
        self.dense = nn.Sequential(nn.Linear(flat, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True))
        self.code = nn.Linear(hidden, codes)

    def forward(self, image: Image) -> Code:
        return self.code(self.dense(self.tower(image).flatten(1))).float()


class GaussianEncoder(nn.Module):
    """BicycleGAN's: residual blocks that halve the picture, then mean and log variance of a code
    (Zhu et al., 2017b, Sec. 4)."""

    def __init__(self, blocks: int, codes: int, width: int = 64) -> None:
        super().__init__()
        widths = [width * min(k, 4) for k in range(1, blocks + 2)]
        self.tower = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            *(_HalvingBlock(before, after) for before, after in pairwise(widths)),
        )
        self.mean, self.log_variance = nn.Linear(widths[-1], codes), nn.Linear(widths[-1], codes)

    def forward(self, image: Image) -> tuple[Code, Code]:
        features = F.leaky_relu(self.tower(image), 0.2).mean((2, 3))
        return self.mean(features).float(), self.log_variance(features).float()


class _HalvingBlock(nn.Module):
    """Pre-norm residual block with mean pooling on both ways."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(before)
        self.first = nn.Conv2d(before, before, 3, padding=1)
        self.second = nn.Conv2d(before, after, 3, padding=1)
        self.across = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(self.norm(x), 0.2))
        y = self.second(F.leaky_relu(self.norm(y), 0.2))
        return F.avg_pool2d(y, 2) + self.across(F.avg_pool2d(x, 2))


def drawn(mean: Code, log_variance: Code) -> Code:
    """A code from the Gaussian, with gradients to its mean and variance (Kingma & Welling, 2014)."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()
