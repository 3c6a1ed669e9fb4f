"""Confidence intervals."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, variance

import numpy as np
from jaxtyping import Float

Z95 = NormalDist().inv_cdf(0.975)


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion of n independent trials (Wilson, 1927); (0, 1) if n is 0."""
    if not n:
        return 0.0, 1.0

    def lower_bound(k: int) -> float:
        return (2 * k + Z95**2 - Z95 * sqrt(Z95**2 + 4 * k * (1 - k / n))) / (2 * (n + Z95**2))

    return lower_bound(successes), 1 - lower_bound(n - successes)


def bootstrap_interval(values: Float[np.ndarray, " n"], resamples: int = 2000) -> tuple[float, float]:
    """The 95 % interval of the mean: percentiles of the means of resamples, which are always the same."""
    indices = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[indices].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def seed_error(means: Sequence[float]) -> float:
    """Half the 95 % interval of the mean over seeds, by the normal distribution; 0 if there is one seed.

    With few seeds it is too small: two of them say little about how much seeds differ.
    """
    return Z95 * sqrt(variance(means) / len(means)) if len(means) > 1 else 0.0
