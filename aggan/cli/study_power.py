"""`aggan study power --rates A B`."""

from dataclasses import dataclass
from math import comb

import tyro

from aggan.errors import UserError
from aggan.study.statistics import participants_needed

MOST_TRIALS = 1000
MOST_SYSTEMS = 32
"""Among more, no p that is found with 10,000 draws is small enough."""


@dataclass
class Power:
    """How many participants are needed so that a difference between two systems is found."""

    rates: tuple[float, float]
    """How often the pictures of two systems are held to be real, from 0 to 1."""
    trials: int = 20
    """Pairs of each system that a participant sees."""
    systems: int = 2
    """How many are compared, each with each (the 5 % are shared, as Bonferroni does)."""
    spread: float = 0.1
    """By how much participants differ in how the two systems compare (standard deviation of shares)."""
    power: float = 0.8
    """Chance to find the difference."""


def main(arguments: list[str]) -> int:
    """Run the action and give its exit code."""
    asked = tyro.cli(Power, args=arguments, prog="aggan study power")
    a, b = asked.rates
    if not (0 <= a <= 1 and 0 <= b <= 1) or a == b:
        raise UserError(f"--rates {a:g} {b:g}: two different shares from 0 to 1 are needed")
    counts = 1 <= asked.trials <= MOST_TRIALS and 2 <= asked.systems <= MOST_SYSTEMS
    if not (counts and 0 <= asked.spread <= 1 and 0.5 <= asked.power < 1):
        raise UserError(f"--trials needs 1 to {MOST_TRIALS}, --systems 2 to {MOST_SYSTEMS}, --spread 0 to 1, "
                        "--power 0.5 to below 1")  # fmt: skip
    needed = participants_needed(asked.rates, asked.trials, asked.spread, comb(asked.systems, 2), asked.power)
    print(f"{needed} participants, {asked.trials} pairs of each system each: {a:.1%} and {b:.1%} are told apart with a "
          f"chance of {asked.power:.0%} (5 % level).")  # fmt: skip
    return 0
