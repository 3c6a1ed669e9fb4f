"""Shares, their intervals, and tests between systems, with participants as what is drawn at random."""

from collections.abc import Sequence
from itertools import product
from math import ceil, sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

Z95 = NormalDist().inv_cdf(0.975)
DRAWS = 10_000
EXACT = 13
"""Up to so many participants all ways to flip signs are tried."""
Interval = tuple[float, float]


def wilson(successes: int, n: int) -> Interval:
    """A share's 95 % interval where all answers are independent (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    share, z2 = successes / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(shares: Float[np.ndarray, " participants"], seed: int = 0) -> Interval:
    """The mean's 95 % interval over participants drawn with replacement (percentiles)."""
    drawn = np.random.default_rng(seed).integers(0, len(shares), (DRAWS, len(shares)))
    low, high = np.quantile(shares[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def sign_flip(differences: Float[np.ndarray, " participants"], seed: int = 0) -> float:
    """Two-sided p of a mean difference within participants: each one's sign might as well be the other."""
    n = len(differences)
    if n <= EXACT:
        signs = np.array(list(product((-1, 1), repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), (DRAWS, n))
    found = abs(differences.sum())
    as_large = int(np.count_nonzero(abs(signs @ differences) >= found - 1e-9))
    # Of drawn ones, what was found counts too.
    return as_large / len(signs) if n <= EXACT else (as_large + 1) / (DRAWS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """The ps of several tests, corrected so that the chance of any false one is kept (Holm 1979)."""
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = highest
    return corrected


def participants_needed(rates: tuple[float, float], answers: int, spread: float, tests: int, power: float) -> int:
    """How many, so that a difference between two systems is found.

    Each gives so many answers to each system. A participant's own difference varies by `spread` (standard deviation)
    around the true one; what they find hard in all systems cancels. Normal approximation, 5 % shared by the tests.
    """
    variance = sum(rate * (1 - rate) for rate in rates) / answers + spread**2
    z = NormalDist().inv_cdf(1 - 0.025 / tests) + NormalDist().inv_cdf(power)
    return max(2, ceil(variance * (z / (rates[0] - rates[1])) ** 2))
