"""Intervals and tests against known numbers, and sample sizes against simulated power."""

from statistics import NormalDist

import numpy as np
import pytest

from aggan.stats import bootstrap_interval, wilson_interval
from aggan.study import statistics


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_matches_newcombe(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_without_answers_the_interval_is_all_of_0_to_1():
    assert wilson_interval(0, 0) == (0, 1)


def test_bootstrap_interval_matches_the_normal_interval_of_normal_data():
    rates = np.random.default_rng(0).normal(0.4, 0.1, 400)
    half = NormalDist().inv_cdf(0.975) * rates.std() / 20
    assert bootstrap_interval(rates) == pytest.approx((rates.mean() - half, rates.mean() + half), abs=0.0007)


def test_bootstrap_interval_counts_participants_and_not_answers():
    """Of ten participants, five are always fooled: the interval is that of ten answers, not of two hundred."""
    low, high = bootstrap_interval(np.array([0.0, 1.0] * 5))
    assert high - low == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], 2 / 32),
        ([0.1, 0.2, 0.3, 0.4, -0.5], 20 / 32),  # ten subsets of {1, ..., 5} sum to 5 or less
        ([0.0, 0.0, 0.0], 1.0),
        ([1.0], 1.0),
    ],
)
def test_sign_flip_test_is_exact_for_few_participants(differences, p):
    assert statistics.sign_flip_test(np.array(differences)) == p


def test_sign_flip_test_matches_the_normal_test_for_many_participants():
    differences = np.random.default_rng(1).normal(0.03, 0.2, 200)
    z = differences.sum() / np.sqrt((differences**2).sum())
    assert statistics.sign_flip_test(differences) == pytest.approx(2 * NormalDist().cdf(-abs(z)), abs=0.01)


def test_sign_flip_test_keeps_its_level():
    rng = np.random.default_rng(2)
    p_values = [statistics.sign_flip_test(rng.integers(-3, 4, 12) / 10) for _ in range(200)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.08


def test_holm_correction_of_known_p_values():
    assert statistics.holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm_correction([0.6, 0.9]) == [1.0, 1.0]
    assert statistics.holm_correction([]) == []


@pytest.mark.parametrize(
    ("rates", "tests", "needed"),
    [
        ((0.9, 0.1), 1, 6),  # with fewer, even a unanimous result has p > 5 %
        ((0.5, 0.25), 1, 8),
        ((0.5, 0.3), 1, 10),
        ((0.4, 0.25), 1, 14),
        ((0.4, 0.2), 6, 14),
        ((0.4, 0.3), 1, 29),
    ],
)
def test_participants_needed_reach_the_power(rates, tests, needed):
    trials, std = 20, 0.1
    assert statistics.participants_needed(rates, trials, std, tests, 0.8) == needed
    rng = np.random.default_rng(3)

    def detected() -> bool:
        shift = rng.normal(0, std, needed) / 2
        a, b = (rng.binomial(trials, np.clip(rate + s, 0, 1)) for rate, s in zip(rates, (shift, -shift), strict=True))
        return statistics.sign_flip_test((a - b) / trials) <= 0.05 / tests

    assert np.mean([detected() for _ in range(200)]) >= 0.8 - 0.08


def test_more_tests_and_smaller_differences_need_more_participants():
    baseline = statistics.participants_needed((0.4, 0.3), 20, 0.1, 1, 0.8)
    assert statistics.participants_needed((0.4, 0.3), 20, 0.1, 3, 0.8) > baseline
    assert statistics.participants_needed((0.35, 0.3), 20, 0.1, 1, 0.8) > 3 * baseline
