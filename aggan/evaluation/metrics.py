"""One number a picture. Pictures are uint8 arrays (n, height, width, 3); results are float64 (n,)."""

from collections.abc import Callable

import numpy as np
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

SAME = 2
"""Grey levels (of 255) by which a true answer may differ from the input where nothing should change."""
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the multi-scale similarity's scales, the finest first (Wang et al., 2003)."""
WINDOW = 11
"""Side of the similarities' window in pixels."""


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared error on 0-255 over the pixels and channels of each picture (Table I)."""
    return np.square(a.astype(np.float64) - b.astype(np.float64)).mean(axis=(1, 2, 3))


def psnr(squared_errors: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB of each picture from its MSE; infinite where pictures are identical."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / squared_errors)


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity (Wang et al., 2004) on 0-255, at most 1."""
    first, second = _brightness(a), _brightness(b)
    values = structural_similarity_index_measure(first, second, data_range=255.0, reduction="none")
    assert isinstance(values, torch.Tensor)
    return values.double().reshape(-1).numpy()


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Structural similarity over several scales (Wang et al., 2003), at most 1.

    Small pictures have room for fewer than five scales (64 px: three), whose weights are then made to sum to 1;
    figures at different sizes do not compare.
    """
    side = min(a.shape[1:3])
    # The window must fit the coarsest scale; torchmetrics asks for somewhat more.
    sides = [min(side >> scales, side // max(1, scales) ** 2) for scales in range(len(SCALES))]
    weights = SCALES[: max(1, sum(side >= WINDOW for side in sides))]
    betas = tuple(weight / sum(weights) for weight in weights)
    first, second = _brightness(a), _brightness(b)
    values = multiscale_structural_similarity_index_measure(
        first, second, data_range=255.0, reduction="none", betas=betas, normalize="relu"
    )
    return values.double().reshape(-1).numpy()


def _brightness(pictures: np.ndarray) -> torch.Tensor:
    """On 0-255: similarities compare brightness with black, so [-1, 1] would not do."""
    return torch.from_numpy(np.moveaxis(pictures, 3, 1).astype(np.float32))


def change(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Mean absolute difference on 0-255."""
    return np.abs(outputs.astype(np.float64) - inputs).mean(axis=(1, 2, 3))


def still(inputs: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Where nothing should change: (n, height, width), true where the true answer equals the input."""
    return np.abs(answers.astype(np.int16) - inputs).max(axis=3) <= SAME


def change_where(region: np.ndarray, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Mean absolute difference on 0-255 over a region of each picture; nan where the region is empty."""
    differences = np.abs(outputs.astype(np.float64) - inputs).mean(axis=3)
    count = region.sum(axis=(1, 2))
    total = (differences * region).sum(axis=(1, 2))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def share_inside(region: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The share of each mask's energy, masks (n, height, width) in [0, 1], that lies in the region."""
    energy = masks.astype(np.float64).sum(axis=(1, 2))
    inside = (masks * region).sum(axis=(1, 2))
    return np.divide(inside, energy, out=np.full(len(energy), np.nan), where=energy > 0)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to two sets of features (n, d), n >= 2 (Heusel et al., 2017)."""
    spread_a, spread_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The product of two covariances has real eigenvalues >= 0; rounding may say otherwise.
    roots = np.sqrt(np.linalg.eigvals(spread_a @ spread_b).real.clip(min=0))
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return float(means + np.trace(spread_a) + np.trace(spread_b) - 2 * roots.sum())


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """Kernel distance of two sets of features (n, d): squared, unbiased, cubic (Binkowski et al., 2018).

    Sets from one source are 0 apart on average, and may come out a little below.
    """
    width = a.shape[1]
    within, across = [(some @ some.T / width + 1) ** 3 for some in (a, b)], (a @ b.T / width + 1) ** 3
    apart = [(like.sum() - np.trace(like)) / (len(like) * (len(like) - 1)) for like in within]
    return float(sum(apart) - 2 * across.mean())


def rank_one(likeness: np.ndarray) -> np.ndarray:
    """1 for each row of a matrix (n, n) whose largest entry is on the diagonal, else 0."""
    return (likeness.argmax(axis=1) == np.arange(len(likeness))).astype(np.float64)


def interval(values: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """The 95 % interval of the mean of values (n,), by percentiles of resampled means; always the same resamples."""
    chosen = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def interval_of(
    distance: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray, groups: int = 20
) -> tuple[float, float]:
    """The 95 % interval of a distance from features a (n, d), by leaving out a group of them at a time (jackknife)."""
    kept = [np.delete(a, part, axis=0) for part in np.array_split(np.arange(len(a)), min(groups, len(a)))]
    left = np.array([distance(some, b) for some in kept])
    error = np.sqrt((len(left) - 1) * left.var())
    value = distance(a, b)
    return value - 1.96 * error, value + 1.96 * error
