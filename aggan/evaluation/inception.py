"""Inception v3 (Szegedy et al., 2016) as the Frechet inception distance uses it (Heusel et al., 2017).

The weights do not ship with this package. `load_inception` reads the usual file (pt_inception-2015-12-05.pth, or
torchvision's), so the layers have that file's names.

    n, c, h, w    images, channels, height and width of maps
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.evaluation.classifiers import Features, batches
from aggan.images.convert import to_tensor
from aggan.methods.pretrained import read_state
from aggan.types import Image

SIZE = 299
Size = tuple[int, int]
"""Height and width."""
Maps = Float[Tensor, "n _c _h _w"]


class Convolution(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int | Size, stride: int = 1, pad: int | Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Maps) -> Maps:
        return F.relu(self.bn(self.conv(x)))


def _row(in_channels: int, out_channels: int) -> Convolution:
    return Convolution(in_channels, out_channels, (1, 7), pad=(0, 3))


def _column(in_channels: int, out_channels: int) -> Convolution:
    return Convolution(in_channels, out_channels, (7, 1), pad=(3, 0))


def _average(x: Maps) -> Maps:
    # As in the network that defines the distance: padding does not count.
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class MixedA(nn.Module):
    """Mixed layer on maps of 35 x 35."""

    def __init__(self, in_channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(in_channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Convolution(in_channels, 48, 1), Convolution(48, 64, 5, pad=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(in_channels, 64, 1), Convolution(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, pad=1)
        self.branch_pool = Convolution(in_channels, pooled, 1)

    def forward(self, x: Maps) -> Maps:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        parts = self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(_average(x))
        return torch.cat(parts, 1)


class MixedB(nn.Module):
    """Mixed layer that reduces the maps to 17 x 17."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(in_channels, 64, 1), Convolution(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, stride=2)

    def forward(self, x: Maps) -> Maps:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch3x3(x), double, F.max_pool2d(x, 3, 2)), 1)


class MixedC(nn.Module):
    """Mixed layer on maps of 17 x 17, with kernels of 1 x 7 and 7 x 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Convolution(768, width, 1), _row(width, width)
        self.branch7x7_3 = _column(width, 192)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Convolution(768, width, 1), _column(width, width)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _row(width, width), _column(width, width)
        self.branch7x7dbl_5 = _row(width, 192)
        self.branch_pool = Convolution(768, 192, 1)

    def forward(self, x: Maps) -> Maps:
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat((self.branch1x1(x), once, double, self.branch_pool(_average(x))), 1)


class MixedD(nn.Module):
    """Mixed layer that reduces the maps to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Convolution(768, 192, 1), Convolution(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Convolution(768, 192, 1)
        self.branch7x7x3_2, self.branch7x7x3_3 = _row(192, 192), _column(192, 192)
        self.branch7x7x3_4 = Convolution(192, 192, 3, stride=2)

    def forward(self, x: Maps) -> Maps:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat((self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)), 1)


class MixedE(nn.Module):
    """Mixed layer on maps of 8 x 8; the last one of the network pools by the maximum instead of the mean."""

    def __init__(self, in_channels: int, last: bool) -> None:
        super().__init__()
        self.branch1x1 = Convolution(in_channels, 320, 1)
        self.branch3x3_1 = Convolution(in_channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = self._row_and_column()
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(in_channels, 448, 1), Convolution(448, 384, 3, pad=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = self._row_and_column()
        self.branch_pool = Convolution(in_channels, 192, 1)
        self.last = last

    @staticmethod
    def _row_and_column() -> tuple[Convolution, Convolution]:
        return Convolution(384, 384, (1, 3), pad=(0, 1)), Convolution(384, 384, (3, 1), pad=(1, 0))

    def forward(self, x: Maps) -> Maps:
        once = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = self.branch_pool(F.max_pool2d(x, 3, 1, 1) if self.last else _average(x))
        crossed = (self.branch3x3_2a(once), self.branch3x3_2b(once))
        crossed += (self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double))
        return torch.cat((self.branch1x1(x), *crossed, pooled), 1)


class Inception(nn.Module):
    """Maps images to 2048 features."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Convolution(3, 32, 3, stride=2), Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, pad=1)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = Convolution(64, 80, 1), Convolution(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a, self.Mixed_6b = MixedB(288), MixedC(128)
        self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = MixedC(160), MixedC(160), MixedC(192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = MixedD(), MixedE(1280, last=False), MixedE(2048, last=True)

    def forward(self, image: Image) -> Float[Tensor, "n 2048"]:
        """Images are resized to 299 px."""
        x = F.interpolate(image, (SIZE, SIZE), mode="bilinear", align_corners=False)
        for name, layer in self.named_children():
            x = layer(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, 2)
        return x.mean((2, 3))


def load_inception(path: Path) -> Features:
    """The features with the weights of a file (.pth, .safetensors).

    Raises `UserError` if the file cannot be read or lacks one of the network's tensors.
    """
    network, state = Inception(), read_state(path)
    expected = network.state_dict()
    missing = [name for name, tensor in expected.items() if name not in state or state[name].shape != tensor.shape]
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing:
        raise UserError(f"{path}: not Inception v3: {len(missing)} of its tensors are missing, {missing[0]} first")
    network.load_state_dict({name: state.get(name, tensor) for name, tensor in expected.items()})
    network.eval()

    @torch.inference_mode()
    def extract(images: np.ndarray) -> np.ndarray:
        return np.concatenate([network(to_tensor(batch)).double().numpy() for batch in batches(images)])

    return Features("Inception v3", extract, hashlib.sha256(path.read_bytes()).hexdigest())
