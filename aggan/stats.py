"""How sure a share is."""

from math import sqrt
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """A share's 95 % interval where all n answers are independent (Wilson, 1927); of none, everything."""
    if not n:
        return 0.0, 1.0

    def low(k: int) -> float:
        return (2 * k + Z95**2 - Z95 * sqrt(Z95**2 + 4 * k * (1 - k / n))) / (2 * (n + Z95**2))

    return low(successes), 1 - low(n - successes)
