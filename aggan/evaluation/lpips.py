"""LPIPS, a learned perceptual distance (Zhang et al., 2018) on AlexNet's features.

The weights of the distance ship with torchmetrics. AlexNet's own weights, torchvision's file alexnet-owt, do not ship
and are read from a file.

    n, c, h, w    images, channels, height and width in pixels
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torchmetrics.functional.image as torchmetrics_image
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.evaluation.classifiers import Images, batches
from aggan.images.convert import to_tensor
from aggan.methods.pretrained import read_state
from aggan.types import Image

HEADS = Path(torchmetrics_image.__file__).parent / "lpips_models" / "alex.pth"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and std that AlexNet was trained with, for images in [-1, 1]."""


class LPIPS:
    """The distance with AlexNet's weights from a file."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` if the file cannot be read, or if it does not hold AlexNet's convolutions."""
        state = {name.removeprefix("features."): tensor for name, tensor in read_state(path).items()}
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._layers = alexnet_features()
        expected = self._layers.state_dict()
        if any(name not in state or state[name].shape != tensor.shape for name, tensor in expected.items()):
            raise UserError(f"{path}: not AlexNet as torchvision saves it")
        self._layers.load_state_dict({name: state[name] for name in expected})
        self._heads = [head.flatten() for head in torch.load(HEADS, map_location="cpu", weights_only=True).values()]

    @torch.inference_mode()
    def __call__(self, a: Images, b: Images) -> Float[np.ndarray, " n"]:
        """The distance of each pair of images: 0 for identical ones, about 1 for unrelated ones."""
        pairs = zip(batches(a), batches(b), strict=True)
        return np.concatenate([self._distances(to_tensor(first), to_tensor(second)) for first, second in pairs])

    def _distances(self, a: Image, b: Image) -> Float[np.ndarray, " n"]:
        layers = zip(self.features(a), self.features(b), self._heads, strict=True)
        distances = [torch.einsum("nchw,c->nhw", (x - y).square(), head).mean((1, 2)) for x, y, head in layers]
        return torch.stack(distances).sum(0).double().numpy()

    def features(self, image: Image) -> list[Float[Tensor, "n _c _h _w"]]:
        """The output of each ReLU, scaled to length 1 at every pixel."""
        x, features = (image - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None], []
        for layer in self._layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                features.append(F.normalize(x, dim=1, eps=1e-8))
        return features


def alexnet_features() -> nn.Sequential:
    """AlexNet's convolutions, numbered as in torchvision."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )
