"""Metrics of images and of sets of features, in numpy.

    n, h, w    images, height and width in pixels
    d          length of a feature vector

Images are uint8 arrays (n, h, w, 3). Metrics of single images return one float64 value for each.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

BACKGROUND_TOLERANCE = 2
"""Grey levels (of 255) by which the ground truth may differ from the input in the background."""
HALF = 0.5
"""Attention of a pixel that counts as attended, and its part of an image's largest change if it counts as changed."""
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of MS-SSIM's scales, the finest first (Wang et al., 2003)."""
WINDOW = 11
"""Side of the window of SSIM and MS-SSIM in pixels."""

Images = UInt8[np.ndarray, "n h w 3"]
Values = Float[np.ndarray, " n"]
Region = Bool[np.ndarray, "n h w"]


def mse(a: Images, b: Images) -> Values:
    """Mean squared error on 0-255 over the pixels and channels of each image (Table I)."""
    return np.square(a.astype(np.float64) - b.astype(np.float64)).mean(axis=(1, 2, 3))


def psnr(squared_errors: Values) -> Values:
    """Peak signal-to-noise ratio in dB: 10 log10(255^2 / MSE). Infinite for identical images."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255**2 / squared_errors)


def ssim(a: Images, b: Images) -> Values:
    """Structural similarity (Wang et al., 2004), at most 1."""
    first, second = _to_tensor(a), _to_tensor(b)
    values = structural_similarity_index_measure(first, second, data_range=255.0, reduction="none")
    assert isinstance(values, torch.Tensor)
    return values.double().reshape(-1).numpy()


def ms_ssim(a: Images, b: Images) -> Values:
    """Structural similarity over several scales (Wang et al., 2003), at most 1.

    Small images have fewer than five scales (64 px: three), and the weights of these are scaled to sum to 1. Values at
    different image sizes are therefore not comparable.
    """
    side = min(a.shape[1:3])
    # The window must fit the coarsest scale; torchmetrics asks for somewhat more.
    sides = [min(side >> scales, side // max(1, scales) ** 2) for scales in range(len(SCALE_WEIGHTS))]
    weights = SCALE_WEIGHTS[: max(1, sum(side >= WINDOW for side in sides))]
    betas = tuple(weight / sum(weights) for weight in weights)
    first, second = _to_tensor(a), _to_tensor(b)
    values = multiscale_structural_similarity_index_measure(
        first, second, data_range=255.0, reduction="none", betas=betas, normalize="relu"
    )
    return values.double().reshape(-1).numpy()


def _to_tensor(images: Images) -> Float[torch.Tensor, "n 3 h w"]:
    """In [0, 255]: the similarities compare luminance relative to black, so [-1, 1] would be wrong."""
    return torch.from_numpy(np.moveaxis(images, 3, 1).astype(np.float32))


def change(inputs: Images, outputs: Images) -> Values:
    """Mean absolute difference on 0-255."""
    return np.abs(outputs.astype(np.float64) - inputs).mean(axis=(1, 2, 3))


def background(inputs: Images, ground_truth: Images) -> Region:
    """The pixels that a translation should not change: the ground truth equals the input there."""
    return np.abs(ground_truth.astype(np.int16) - inputs).max(axis=3) <= BACKGROUND_TOLERANCE


def clearly_changed(inputs: Images, ground_truth: Images) -> Region:
    """The pixels that change at least half as much as the pixel of the same image that changes most.

    Where a mask blends a content in, these are about the pixels with a mask of 0.5 or more: antialiased edges of a
    change count if more than half of the pixel is changed.
    """
    differences = np.abs(ground_truth.astype(np.float64) - inputs).mean(axis=3)
    largest = differences.max(axis=(1, 2), keepdims=True)
    return (differences >= HALF * largest) & (largest > 0)


def change_where(region: Region, inputs: Images, outputs: Images) -> Values:
    """Mean absolute difference on 0-255 over a region of each image; nan if the region is empty."""
    differences = np.abs(outputs.astype(np.float64) - inputs).mean(axis=3)
    count = region.sum(axis=(1, 2))
    total = (differences * region).sum(axis=(1, 2))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def share_inside(region: Region, masks: Float[np.ndarray, "n h w"]) -> Values:
    """The share of each mask's sum that lies in the region; nan if the mask is 0 everywhere."""
    sums = masks.astype(np.float64).sum(axis=(1, 2))
    inside = (masks * region).sum(axis=(1, 2))
    return np.divide(inside, sums, out=np.full(len(sums), np.nan), where=sums > 0)


def intersection_over_union(a: Region, b: Region) -> Values:
    """The share of the pixels of either region that are in both; nan if both are empty."""
    union = (a | b).sum(axis=(1, 2))
    return np.divide((a & b).sum(axis=(1, 2)), union, out=np.full(len(union), np.nan), where=union > 0)


def frechet(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Frechet distance between Gaussians fitted to two sets of features, n, m >= 2 (Heusel et al., 2017).

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) with the covariances C.
    """
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The eigenvalues of a product of two covariances are real and >= 0 except for rounding.
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(min=0))
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return float(means + np.trace(cov_a) + np.trace(cov_b) - 2 * roots.sum())


def kernel(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Squared maximum mean discrepancy of two sets of features, unbiased (Binkowski et al., 2018).

    The kernel is (x . y / d + 1)^3. The expected value for two sets of one distribution is 0, so single values may be
    negative.
    """
    d = a.shape[1]
    within, across = [(features @ features.T / d + 1) ** 3 for features in (a, b)], (a @ b.T / d + 1) ** 3
    means = [(values.sum() - np.trace(values)) / (len(values) * (len(values) - 1)) for values in within]
    return float(sum(means) - 2 * across.mean())


def rank_one(similarity: Float[np.ndarray, "n n"]) -> Values:
    """1 for each row whose largest entry is on the diagonal, otherwise 0."""
    return (similarity.argmax(axis=1) == np.arange(len(similarity))).astype(np.float64)


def jackknife_interval(
    distance: Callable[[np.ndarray, np.ndarray], float],
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    groups: int = 20,
) -> tuple[float, float]:
    """The 95 % interval of a distance, by leaving out one group of the features `a` at a time."""
    subsets = [np.delete(a, group, axis=0) for group in np.array_split(np.arange(len(a)), min(groups, len(a)))]
    distances = np.array([distance(subset, b) for subset in subsets])
    error = np.sqrt((len(distances) - 1) * distances.var())
    value = distance(a, b)
    return value - 1.96 * error, value + 1.96 * error
