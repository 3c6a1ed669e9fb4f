"""Confidence intervals."""

from math import sqrt
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion of n independent trials (Wilson, 1927); (0, 1) if n is 0."""
    if not n:
        return 0.0, 1.0

    def lower_bound(k: int) -> float:
        return (2 * k + Z95**2 - Z95 * sqrt(Z95**2 + 4 * k * (1 - k / n))) / (2 * (n + Z95**2))

    return lower_bound(successes), 1 - lower_bound(n - successes)
