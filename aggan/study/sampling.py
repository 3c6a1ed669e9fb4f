"""Sampling: which images become main pairs, practice pairs and attention checks."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from aggan.errors import UserError

DEFAULT_TRIALS = 40
"""Main trials in the protocol of Isola et al. (2017), Sec. 4.2."""
DEFAULT_PRACTICE = 10
"""Practice trials in the same protocol."""
DEFAULT_CHECKS = 4

Images = dict[str, Path]
"""Images by name: the path below their folder, without suffix. Images of one name belong to one input."""


@dataclass(frozen=True)
class TrialCounts:
    """Trials of a participant. None follows the defaults as far as there are enough images."""

    trials: int | None = None
    practice: int | None = None
    checks: int | None = None


@dataclass(frozen=True)
class Sample:
    """The inputs of a study, by name, and what each of them is used for."""

    real: Images
    """The real image that each input is shown with."""
    matched: int
    """Number of inputs that are shown with the real image of the same name."""
    trials: int
    """Main trials of each participant."""
    pairs: list[str]
    practice: list[str]
    checks: list[str]


def sample_pairs(real: Images, fakes: dict[str, Images], counts: TrialCounts, rng: Random) -> Sample:
    """Assign each input that all methods translated to one purpose. Raises `UserError` if there are too few."""
    common = sorted(set.intersection(*(set(images) for images in fakes.values())))
    if not common:
        raise UserError(
            f"{', '.join(fakes)}: no file name occurs in all folders; translate the same inputs with every method"
        )
    paired, matched = _pair_with_real(common, real, rng)
    names = rng.sample(list(paired), len(paired))
    practice = min(DEFAULT_PRACTICE, len(names) // 5) if counts.practice is None else counts.practice
    remaining = len(names) - practice
    checks = _default_checks(remaining, len(fakes), counts.trials) if counts.checks is None else counts.checks
    trials = _trials(remaining - checks, len(fakes), counts.trials, f"{practice} for practice and {checks} for checks")
    if checks > trials:
        raise UserError(f"--checks {checks} is more than the {trials} main trials; add images or lower --checks")
    return Sample(
        real=paired,
        matched=matched,
        trials=trials,
        pairs=names[checks + practice :],
        practice=names[checks : checks + practice],
        checks=names[:checks],
    )


def _pair_with_real(names: list[str], real: Images, rng: Random) -> tuple[Images, int]:
    """Pair each name with its own real image, or else with one that no other name uses."""
    paired = {name: real[name] for name in names if name in real}
    unused = [path for name, path in real.items() if name not in paired]
    rng.shuffle(unused)
    unmatched = [name for name in names if name not in real]
    return paired | dict(zip(unmatched, unused, strict=False)), len(paired)


def _default_checks(remaining: int, methods: int, trials: int | None) -> int:
    """The largest number of checks, up to the default, that is not above the number of main trials."""
    allowed = (n for n in range(DEFAULT_CHECKS + 1) if n <= (trials or _max_trials(remaining - n, methods)))
    return max(allowed, default=0)


def _max_trials(remaining: int, methods: int) -> int:
    return min(DEFAULT_TRIALS, remaining) // methods * methods


def _trials(remaining: int, methods: int, requested: int | None, reserved: str) -> int:
    trials = _max_trials(remaining, methods) if requested is None else requested
    if trials < 1 or trials > remaining:
        raise UserError(
            f"{max(remaining, 0)} pairs remain after {reserved}, but {max(trials, methods)} are needed: add images or "
            "lower --trials, --practice or --checks"
        )
    if trials % methods:
        raise UserError(f"--trials {trials} is not a multiple of {methods}, the number of methods")
    return trials
