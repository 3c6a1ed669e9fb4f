"""The experimental design: which pairs a participant sees, in which order and on which sides.

Everything follows from the seed of the plan and the participant's number (0, 1, ...).

With S methods, S consecutive participants see the same input images. The method for each input rotates from one
participant to the next (a Latin square). Nobody sees an input twice, and all methods are compared on the same inputs.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from aggan.study.plan import Pair, Plan


class Side(StrEnum):
    """The position of an image on the screen."""

    LEFT = "left"
    RIGHT = "right"


class Kind(StrEnum):
    """The purpose of a trial."""

    PRACTICE = "practice"
    CHECK = "check"
    MAIN = "main"


@dataclass(frozen=True)
class Trial:
    """One pair, as one participant sees it."""

    kind: Kind
    method: str
    """Method of the fake image; empty for attention checks."""
    pair: Pair
    real_side: Side

    def image(self, side: Side) -> str:
        """The image file on a side."""
        return self.pair.real if side == self.real_side else self.pair.fakes[self.method]


def participant_trials(plan: Plan, number: int) -> tuple[Trial, ...]:
    """All trials of one participant: practice first, then main trials with attention checks spread among them."""
    # Answers are stored by the index of their trial: the order of the random draws is part of the format.
    rng = Random(f"{plan.seed}/{number}")
    method_count = len(plan.methods)
    practice = [
        Trial(Kind.PRACTICE, plan.methods[(number + k) % method_count], pair, rng.choice(list(Side)))
        for k, pair in enumerate(plan.practice)
    ]
    trials = _main_trials(plan, number, rng)
    spacing = len(trials) / max(1, len(plan.checks))
    for k in reversed(range(len(plan.checks))):
        check = Trial(Kind.CHECK, "", plan.checks[k], rng.choice(list(Side)))
        trials.insert(rng.randint(int(k * spacing) + 1, int((k + 1) * spacing)), check)
    return (*practice, *trials)


def _main_trials(plan: Plan, number: int, rng: Random) -> list[Trial]:
    """Main trials in blocks that contain each method once; the real image is left as often as right."""
    method_count = len(plan.methods)
    group, row = divmod(number, method_count)
    pairs = [plan.pairs[(group * plan.trials + k) % len(plan.pairs)] for k in range(plan.trials)]
    assigned = [(plan.methods[(k + row) % method_count], pair) for k, pair in enumerate(pairs)]
    blocks = [assigned[start : start + method_count] for start in range(0, plan.trials, method_count)]
    rng.shuffle(blocks)
    for block in blocks:
        rng.shuffle(block)
    sides = (list(Side) * plan.trials)[: plan.trials]
    rng.shuffle(sides)
    ordered = [entry for block in blocks for entry in block]
    return [Trial(Kind.MAIN, method, pair, side) for (method, pair), side in zip(ordered, sides, strict=True)]


def image_names(plan: Plan, number: int) -> dict[str, str]:
    """Image files by their public names on a participant's page, in the order of trials, left before right.

    A public name is unique to the participant, the trial and the side. Names therefore do not reveal that two images
    are the same file.
    """

    def public_name(index: int, side: Side) -> str:
        return hmac.new(plan.secret.encode(), f"{number}/{index}/{side}".encode(), "sha256").hexdigest()[:32]

    trials = participant_trials(plan, number)
    return {public_name(index, side): trial.image(side) for index, trial in enumerate(trials) for side in Side}
