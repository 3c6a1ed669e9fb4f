"""A small classifier that says which expression a face shows; `judge/README.md` holds its accuracy.

It was trained on rendered people that no translation system sees, by `aggan.evaluation.train_judge`.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.batches import Image
from aggan.data.images import to_tensor

FOLDER = Path(__file__).parent / "judge"
EXPRESSIONS = ("neutral", "happy")
SIZE = 64


class Judge(nn.Module):
    """Four strided convolutions, averaged to 96 features, and a linear layer to the expressions."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 96)
        self.tower = nn.Sequential(
            *(
                part
                for before, filters in pairwise(widths)
                for part in (nn.Conv2d(before, filters, 3, 2, 1), nn.BatchNorm2d(filters), nn.ReLU())
            )
        )
        self.head = nn.Linear(widths[-1], len(EXPRESSIONS))

    def features(self, image: Image) -> Tensor:
        """(n, 96); pictures of another size are resized to 64 px."""
        if image.shape[-2:] != (SIZE, SIZE):
            image = F.interpolate(image, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(-1, 1)
        return self.tower(image).mean((2, 3))

    def forward(self, image: Image) -> Tensor:
        """Logits (n, 2) in the order of `EXPRESSIONS`."""
        return self.head(self.features(image))


def load_judge() -> Judge:
    """The judge that ships."""
    judge = Judge()
    judge.load_state_dict(load_file(FOLDER / "judge.safetensors"))
    return judge.eval()


@torch.inference_mode()
def says(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """The expression that the judge sees in each picture (n, height, width, 3), as an index of `EXPRESSIONS`."""
    return np.concatenate([judge(to_tensor(some)).argmax(1).numpy() for some in in_batches(pictures)])


@torch.inference_mode()
def features_of(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """The judge's features of each picture, (n, 96)."""
    return np.concatenate([judge.features(to_tensor(some)).double().numpy() for some in in_batches(pictures)])


def in_batches(pictures: np.ndarray, size: int = 32) -> list[np.ndarray]:
    """Consecutive parts of at most `size` pictures."""
    return [pictures[start : start + size] for start in range(0, len(pictures), size)]
