"""Shares, their intervals, and tests between systems, with participants as what is drawn at random."""

from collections.abc import Sequence
from itertools import product
from math import ceil, log2
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

DRAWS = 10_000
EXACT = 13
"""Up to so many participants all ways to flip signs are tried."""
LEVEL = 0.05
SIMULATED = 200
"""For so many participants the test's power is simulated; beyond, the normal approximation is as good."""
Interval = tuple[float, float]


def bootstrap(shares: Float[np.ndarray, " participants"], seed: int = 0) -> Interval:
    """The mean's 95 % interval over participants drawn with replacement (percentiles)."""
    drawn = np.random.default_rng(seed).integers(0, len(shares), (DRAWS, len(shares)))
    low, high = np.quantile(shares[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def sign_flip(differences: Float[np.ndarray, " participants"], seed: int = 0) -> float:
    """Two-sided p of a mean difference within participants: each one's sign might as well be the other."""
    return float(sign_flips(differences[:, None], seed)[0])


def sign_flips(differences: Float[np.ndarray, "participants studies"], seed: int = 0) -> Float[np.ndarray, " studies"]:
    """`sign_flip` of many studies."""
    n = len(differences)
    if n <= EXACT:
        signs = np.array(list(product((-1, 1), repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), (DRAWS, n))
    found = abs(differences.sum(axis=0))
    as_large = np.count_nonzero(abs(signs @ differences) >= found - 1e-9, axis=0)
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
    around the true one; what they find hard in all systems cancels. 5 % are shared by the tests. Begins with
    the normal approximation (corrected as in Guenther 1981), and adds people until simulated studies have that power.
    """
    variance = sum(rate * (1 - rate) for rate in rates) / answers + spread**2
    z = NormalDist().inv_cdf(1 - LEVEL / tests / 2)
    n = ceil(variance * ((z + NormalDist().inv_cdf(power)) / (rates[0] - rates[1])) ** 2 + z**2 / 2)
    n = max(n, ceil(log2(2 * tests / LEVEL)))  # with fewer, not even equal signs are rare enough
    while n <= SIMULATED and _power(n, rates, answers, spread, LEVEL / tests) < power:
        n += 1
    return n


def _power(n: int, rates: tuple[float, float], answers: int, spread: float, level: float) -> float:
    """The share of 2,000 simulated studies in which `sign_flip` finds the difference."""
    random = np.random.default_rng(1)  # not the seed of the signs
    furthest = min(*rates, *(1 - rate for rate in rates))

    def found() -> float:
        # Not beyond shares of 0 and 1, and as far up as down, so that the rates stay what they are.
        shift = np.clip(random.normal(0, spread / 2, (n, 200)), -furthest, furthest)
        first, second = random.binomial(answers, rates[0] + shift), random.binomial(answers, rates[1] - shift)
        return float(np.mean(sign_flips((first - second) / answers) <= level))

    return sum(found() for _ in range(10)) / 10
