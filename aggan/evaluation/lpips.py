"""Learned perceptual distance (Zhang et al., 2018) on AlexNet's features.

The weights of the distance ship with torchmetrics; AlexNet's own (torchvision's file, alexnet-owt) are given by whoever
wants it.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torchmetrics.functional.image as heads
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.evaluation.classifiers import in_batches
from aggan.images.convert import to_tensor
from aggan.methods.pretrained import read_state

HEADS = Path(heads.__file__).parent / "lpips_models" / "alex.pth"
# What AlexNet expects of its inputs, for pictures in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Perceptual:
    """Distances of pictures by the weights in a file; raises `UserError` where they are not AlexNet's."""

    def __init__(self, path: Path) -> None:
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        state = {name.removeprefix("features."): tensor for name, tensor in read_state(path).items()}
        self._layers = _alexnet()
        wanted = self._layers.state_dict()
        if any(name not in state or state[name].shape != tensor.shape for name, tensor in wanted.items()):
            raise UserError(f"{path}: not AlexNet as torchvision saves it")
        self._layers.load_state_dict({name: state[name] for name in wanted})
        self._heads = [head.flatten() for head in torch.load(HEADS, map_location="cpu", weights_only=True).values()]

    @torch.inference_mode()
    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """One distance a pair of pictures (n, height, width, 3): 0 for the same, about 1 for strangers."""
        pairs = zip(in_batches(a), in_batches(b), strict=True)
        return np.concatenate([self._distances(to_tensor(some), to_tensor(others)) for some, others in pairs])

    def _distances(self, a: Tensor, b: Tensor) -> np.ndarray:
        pairs = zip(self._features(a), self._features(b), self._heads, strict=True)
        apart = [torch.einsum("nchw,c->nhw", (x - y).square(), head).mean((1, 2)) for x, y, head in pairs]
        return torch.stack(apart).sum(0).double().numpy()

    def _features(self, image: Tensor) -> list[Tensor]:
        """After each ReLU, every pixel's vector of length 1."""
        x, found = (image - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None], []
        for layer in self._layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(F.normalize(x, dim=1, eps=1e-8))
        return found


def _alexnet() -> nn.Sequential:
    """Its convolutions, numbered as torchvision numbers them."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )
