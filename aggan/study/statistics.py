"""Intervals, tests and sample sizes for fooling rates, with participants as the random sample."""

from collections.abc import Sequence
from itertools import product
from math import ceil, log2
from statistics import NormalDist

import numpy as np
from jaxtyping import Float

RESAMPLES = 10_000
MAX_EXACT = 13
"""Up to this many participants, the sign-flip test enumerates all combinations of signs."""
ALPHA = 0.05
MAX_SIMULATED = 200
"""Up to this many participants, power is simulated; beyond, the normal approximation is as good."""


def sign_flip_test(differences: Float[np.ndarray, " participants"], seed: int = 0) -> float:
    """Two-sided p-value of the mean difference within participants, by a sign-flip permutation test.

    Under the null hypothesis, the sign of each participant's difference is random.
    """
    return float(sign_flip_tests(differences[:, None], seed)[0])


def sign_flip_tests(
    differences: Float[np.ndarray, "participants studies"], seed: int = 0
) -> Float[np.ndarray, " studies"]:
    """The p-values of `sign_flip_test` for several studies at once."""
    n = len(differences)
    exact = n <= MAX_EXACT
    if exact:
        signs = np.array(list(product((-1, 1), repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), (RESAMPLES, n))
    observed = abs(differences.sum(axis=0))
    as_extreme = np.count_nonzero(abs(signs @ differences) >= observed - 1e-9, axis=0)
    # Random permutations do not include the observed one: count it too.
    return as_extreme / len(signs) if exact else (as_extreme + 1) / (RESAMPLES + 1)


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple tests with control of the family-wise error rate (Holm, 1979)."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def participants_needed(rates: tuple[float, float], trials: int, std: float, tests: int, power: float) -> int:
    """Number of participants with which the difference between two fooling rates is detected.

    The search starts at the normal approximation (corrected as in Guenther, 1981) and adds participants until
    simulated studies reach the power.

    Args:
        rates: the fooling rates of the two methods, in 0..1.
        trials: trials of each participant with each method.
        std: standard deviation, between participants, of the true difference between the two methods. What a
            participant finds hard with all methods cancels out.
        tests: number of tests that share the 5 % level (Bonferroni).
        power: probability of detecting the difference.
    """
    variance = sum(rate * (1 - rate) for rate in rates) / trials + std**2
    z = NormalDist().inv_cdf(1 - ALPHA / tests / 2)
    n = ceil(variance * ((z + NormalDist().inv_cdf(power)) / (rates[0] - rates[1])) ** 2 + z**2 / 2)
    n = max(n, ceil(log2(2 * tests / ALPHA)))  # with fewer, even a unanimous result is not significant
    while n <= MAX_SIMULATED and _simulated_power(n, rates, trials, std, ALPHA / tests) < power:
        n += 1
    return n


def _simulated_power(n: int, rates: tuple[float, float], trials: int, std: float, alpha: float) -> float:
    """The fraction of 2,000 simulated studies in which the sign-flip test detects the difference."""
    rng = np.random.default_rng(1)  # a seed other than that of the signs
    # Symmetric clipping keeps each participant's rates in 0..1 without moving their means.
    max_shift = min(*rates, *(1 - rate for rate in rates))

    def detected() -> float:
        shift = np.clip(rng.normal(0, std / 2, (n, 200)), -max_shift, max_shift)
        first, second = rng.binomial(trials, rates[0] + shift), rng.binomial(trials, rates[1] - shift)
        return float(np.mean(sign_flip_tests((first - second) / trials) <= alpha))

    return sum(detected() for _ in range(10)) / 10
