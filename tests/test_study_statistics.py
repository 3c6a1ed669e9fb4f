"""Intervals and tests against known numbers, and the power that was promised."""

from statistics import NormalDist

import numpy as np
import pytest

from aggan.stats import wilson
from aggan.study import statistics


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_newcombes(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_without_answers_the_interval_is_everything():
    assert wilson(0, 0) == (0, 1)


def test_the_bootstrap_agrees_with_the_normal_interval_where_that_holds():
    shares = np.random.default_rng(0).normal(0.4, 0.1, 400)
    half = NormalDist().inv_cdf(0.975) * shares.std() / 20
    assert statistics.bootstrap(shares) == pytest.approx((shares.mean() - half, shares.mean() + half), abs=0.0007)


def test_the_bootstrap_counts_people_and_not_answers():
    """Ten people of whom five are always fooled: the share is known as of ten answers, not as of two hundred."""
    low, high = statistics.bootstrap(np.array([0.0, 1.0] * 5))
    assert high - low == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], 2 / 32),
        ([0.1, 0.2, 0.3, 0.4, -0.5], 20 / 32),  # of 1, ..., 5 ten subsets sum to 5 or less
        ([0.0, 0.0, 0.0], 1.0),
        ([1.0], 1.0),
    ],
)
def test_flipping_signs_gives_the_exact_p(differences, p):
    assert statistics.sign_flip(np.array(differences)) == p


def test_flipping_signs_agrees_with_the_normal_test_for_many_people():
    differences = np.random.default_rng(1).normal(0.03, 0.2, 200)
    z = differences.sum() / np.sqrt((differences**2).sum())
    assert statistics.sign_flip(differences) == pytest.approx(2 * NormalDist().cdf(-abs(z)), abs=0.01)


def test_flipping_signs_raises_a_false_alarm_once_in_twenty():
    random = np.random.default_rng(2)
    ps = [statistics.sign_flip(random.integers(-3, 4, 12) / 10) for _ in range(200)]
    assert np.mean(np.array(ps) < 0.05) <= 0.08


def test_holm_corrects_as_in_his_example():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("rates", "tests", "needed"),
    [
        ((0.9, 0.1), 1, 6),  # of fewer, not even equal signs have a p of 5 %
        ((0.5, 0.25), 1, 8),
        ((0.5, 0.3), 1, 10),
        ((0.4, 0.25), 1, 14),
        ((0.4, 0.2), 6, 14),
        ((0.4, 0.3), 1, 29),
    ],
)
def test_as_many_participants_as_are_said_find_the_difference_four_times_in_five(rates, tests, needed):
    answers, spread = 20, 0.1
    assert statistics.participants_needed(rates, answers, spread, tests, 0.8) == needed
    random = np.random.default_rng(3)

    def found() -> bool:
        shift = random.normal(0, spread, needed) / 2
        a, b = (
            random.binomial(answers, np.clip(rate + s, 0, 1)) for rate, s in zip(rates, (shift, -shift), strict=True)
        )
        return statistics.sign_flip((a - b) / answers) <= 0.05 / tests

    assert np.mean([found() for _ in range(200)]) >= 0.8 - 0.08


def test_more_tests_and_smaller_differences_need_more_participants():
    few = statistics.participants_needed((0.4, 0.3), 20, 0.1, 1, 0.8)
    assert statistics.participants_needed((0.4, 0.3), 20, 0.1, 3, 0.8) > few
    assert statistics.participants_needed((0.35, 0.3), 20, 0.1, 1, 0.8) > 3 * few
