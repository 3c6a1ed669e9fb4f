"""Sliced Wasserstein distance of two sets of images (Karras et al., 2018, Sec. 5), which needs no trained network.

    n, h, w    images, height and width in pixels
    p          patches: `PATCHES` of each image
    d          numbers of a patch: 3 channels of 7 x 7 pixels

A Laplacian pyramid splits the images into levels from their own size down to 16 px. On each level, random patches of
both sets are projected onto random directions. On a line, the Wasserstein distance of two equally large sets is the
mean distance of their sorted values. The result is the mean over directions and levels, times 1000.

Karras et al. normalise the patches of each set by its own mean and standard deviation, which hides a shift of colours.
Here those of the real images normalise both sets.
"""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from aggan.images.convert import to_tensor
from aggan.types import Image

COARSEST = 16
"""Side of the coarsest level in pixels."""
PATCH, PATCHES = 7, 128
"""Side of a patch in pixels, and how many are drawn from each image and level."""
DIRECTIONS = 4 * 128
SCALE = 1000.0
SEED = 0

Level = Float[Tensor, "n 3 _h _w"]
Patches = Float[Tensor, "p d"]


class SlicedWasserstein:
    """The distance to a fixed set of real images. It is deterministic: patches and directions are always the same."""

    def __init__(self, real: UInt8[np.ndarray, "n h w 3"]) -> None:
        """Images must be squares of 8 px or more."""
        self._count = len(real)
        # A training scores inside autocast, which would round the patches to bf16.
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            levels = [_patches(level, seed) for seed, level in enumerate(_laplacian_pyramid(to_tensor(real)))]
            self._moments = [_channel_moments(patches) for patches in levels]
            self._projections = [
                _project(_normalise(patches, *moments), seed)
                for seed, (patches, moments) in enumerate(zip(levels, self._moments, strict=True))
            ]

    def __call__(self, images: UInt8[np.ndarray, "n h w 3"]) -> float:
        """The distance of as many images of the same size as there are real ones; 0 for the same images."""
        if len(images) != self._count:
            raise ValueError(f"{len(images)} images cannot be compared with {self._count}")
        distances = []
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            for level, image in enumerate(_laplacian_pyramid(to_tensor(images))):
                patches = _normalise(_patches(image, level), *self._moments[level])
                distances.append(np.abs(_project(patches, level) - self._projections[level]).mean())
        return SCALE * float(np.mean(distances))


def _laplacian_pyramid(image: Image) -> list[Level]:
    """Differences of each size from the next smaller one, and the coarsest size itself last."""
    levels = []
    while min(image.shape[2:]) // 2 >= COARSEST:
        smaller = _blur(image)[..., ::2, ::2]
        larger = torch.zeros_like(image)
        larger[..., ::2, ::2] = smaller
        levels.append(image - 4 * _blur(larger))
        image = smaller
    return [*levels, image]


def _blur(image: Image) -> Image:
    """The binomial filter of 5 x 5 pixels, on mirrored borders."""
    line = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    kernel = (line[:, None] * line).expand(3, 1, 5, 5)
    return F.conv2d(F.pad(image, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)


def _patches(level: Level, seed: int) -> Float[Tensor, "p 3 7 7"]:
    """Patches at random positions of each image."""
    n = len(level)
    random = torch.Generator().manual_seed(SEED + seed)
    rows, columns = (_positions(n, side - PATCH + 1, random) for side in level.shape[2:])
    windows = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    return windows[torch.arange(n)[:, None], :, rows, columns].flatten(0, 1)


def _positions(n: int, count: int, random: torch.Generator) -> Int[Tensor, "n patches"]:
    return torch.randint(count, (n, PATCHES), generator=random)


def _channel_moments(patches: Float[Tensor, "p 3 7 7"]) -> tuple[Float[Tensor, "3 1 1"], Float[Tensor, "3 1 1"]]:
    std, mean = torch.std_mean(patches, (0, 2, 3), correction=0)
    return mean[:, None, None], std.clamp(min=1e-6)[:, None, None]


def _normalise(patches: Float[Tensor, "p 3 7 7"], mean: Float[Tensor, "3 1 1"], std: Float[Tensor, "3 1 1"]) -> Patches:
    return ((patches - mean) / std).flatten(1)


def _project(patches: Patches, seed: int) -> Float[np.ndarray, "directions p"]:
    """The patches on random directions of length 1, sorted along each of them."""
    random = torch.Generator().manual_seed(SEED + seed)
    directions = F.normalize(torch.randn(DIRECTIONS, patches.shape[1], generator=random), dim=1)
    return np.sort((directions @ patches.T).numpy(), axis=1)
