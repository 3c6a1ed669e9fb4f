"""`aggan study power --rates A B`."""

from dataclasses import dataclass
from math import comb

import tyro

from aggan.errors import UserError

MAX_TRIALS = 1000
MAX_METHODS = 32
"""With more methods, no p-value from 10,000 permutations is small enough after correction."""


@dataclass
class Power:
    """Compute how many participants are needed to detect a difference between two methods."""

    rates: tuple[float, float]
    """The expected fooling rates of the two methods, from 0 to 1."""
    trials: int = 20
    """Trials of each participant with each method."""
    methods: int = 2
    """Number of methods in the study. All pairs of methods are tested, with Bonferroni's correction."""
    std: float = 0.1
    """Standard deviation, between participants, of the true difference between the two rates."""
    power: float = 0.8
    """Probability of detecting the difference."""


def main(argv: list[str]) -> int:
    """Run the action. Returns the exit code."""
    args = tyro.cli(Power, args=argv, prog="aggan study power")
    a, b = args.rates
    if not (0 <= a <= 1 and 0 <= b <= 1) or a == b:
        raise UserError(f"--rates {a:g} {b:g}: must be two different rates from 0 to 1")
    if not 1 <= args.trials <= MAX_TRIALS:
        raise UserError(f"--trials {args.trials}: must be 1 to {MAX_TRIALS}")
    if not 2 <= args.methods <= MAX_METHODS:
        raise UserError(f"--methods {args.methods}: must be 2 to {MAX_METHODS}")
    if not 0 <= args.std <= 1:
        raise UserError(f"--std {args.std}: must be 0 to 1")
    if not 0.5 <= args.power < 1:
        raise UserError(f"--power {args.power}: must be at least 0.5 and less than 1")
    from aggan.study.statistics import participants_needed

    needed = participants_needed(args.rates, args.trials, args.std, comb(args.methods, 2), args.power)
    print(
        f"{needed} participants with {args.trials} trials per method: fooling rates of {a:.1%} and {b:.1%} differ "
        f"significantly (5 % level) with a probability of {args.power:.0%}."
    )
    return 0
