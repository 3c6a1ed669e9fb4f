"""From folders to a plan: which pictures become pairs, practice and attention checks."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from aggan.errors import UserError

FIELDS_TRIALS = 40
"""So many pairs count in the field's protocol (Isola et al. 2017, Sec. 4), after ten of practice."""
FIELDS_PRACTICE = 10
CHECKS = 4

Files = dict[str, Path]
"""Pictures by the name they share with their pairs: the path below their folder, without suffix."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None is as in the field's protocol, as far as the pictures go."""

    trials: int | None = None
    practice: int | None = None
    checks: int | None = None


@dataclass(frozen=True)
class Drawn:
    """The people of a study, each with a real picture."""

    real: Files
    matched: int
    """So many of them are paired with their own real picture, the others with somebody else's."""
    trials: int
    pairs: list[str]
    practice: list[str]
    checks: list[str]


def draw(real: Files, fakes: dict[str, Files], wanted: Wanted, random: Random) -> Drawn:
    """Draw people for all purposes, nobody for two; raises `UserError` where there are too few."""
    common = sorted(set.intersection(*(set(files) for files in fakes.values())))
    if not common:
        raise UserError(f"{', '.join(fakes)}: no file name is in all of them; every system translates the same inputs")
    paired, matched = _pair_up(common, real, random)
    names = random.sample(list(paired), len(paired))
    practice = min(FIELDS_PRACTICE, len(names) // 5) if wanted.practice is None else wanted.practice
    left = len(names) - practice
    checks = _checks(left, len(fakes), wanted.trials) if wanted.checks is None else wanted.checks
    trials = _trials(left - checks, len(fakes), wanted.trials, f"{practice} for practice and {checks} for checks")
    if checks > trials:
        raise UserError(f"--checks {checks}: more than the {trials} pairs that count; add pictures, or lower it")
    cuts = (checks, checks + practice)
    return Drawn(paired, matched, trials, names[cuts[1] :], names[cuts[0] : cuts[1]], names[: cuts[0]])


def _pair_up(common: list[str], real: Files, random: Random) -> tuple[Files, int]:
    """One's own real picture where there is one, else one that nobody else has."""
    paired = {name: real[name] for name in common if name in real}
    others = [path for name, path in real.items() if name not in paired]
    random.shuffle(others)
    alone = [name for name in common if name not in real]
    return paired | dict(zip(alone, others, strict=False)), len(paired)


def _checks(left: int, systems: int, trials: int | None) -> int:
    """The most that leave as many pairs that count: each stands among its own."""
    return max((n for n in range(CHECKS + 1) if n <= (trials or _most_trials(left - n, systems))), default=0)


def _most_trials(left: int, systems: int) -> int:
    return min(FIELDS_TRIALS, left) // systems * systems


def _trials(left: int, systems: int, asked: int | None, besides: str) -> int:
    trials = _most_trials(left, systems) if asked is None else asked
    if trials < 1 or trials > left:
        raise UserError(
            f"{max(left, 0)} pairs are left after {besides}, fewer than {max(trials, systems)}: add pictures, or lower "
            "--trials, --practice or --checks"
        )
    if trials % systems:
        raise UserError(f"--trials {trials} cannot be shared evenly by {systems} systems: take a multiple of {systems}")
    return trials
