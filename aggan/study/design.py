"""Which pairs a participant sees, in which order and on which sides: all from the plan's seed and a number.

S participants in a row see the same people; whom one of them sees by a system, the next one sees by the next
system (a Latin square), so nobody sees a person twice and all systems are judged on the same people.
"""

import hmac
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from aggan.study.plan import Pair, Plan


class Side(StrEnum):
    """Where a picture stands."""

    LEFT = "left"
    RIGHT = "right"


class Kind(StrEnum):
    """What an answer is for."""

    PRACTICE = "practice"
    CHECK = "check"
    MAIN = "main"


@dataclass(frozen=True)
class Trial:
    """A pair as one participant sees it."""

    kind: Kind
    system: str
    pair: Pair
    real: Side

    def picture(self, side: Side) -> str:
        """The file on that side."""
        return self.pair.real if side == self.real else self.pair.fakes[self.system]


def trials(plan: Plan, number: int) -> tuple[Trial, ...]:
    """All of the participant with that number, from 0: practice, then pairs with checks strewn among them."""
    random = Random(f"{plan.seed}/{number}")
    count = len(plan.systems)
    practice = [
        Trial(Kind.PRACTICE, plan.systems[(number + k) % count], pair, random.choice(list(Side)))
        for k, pair in enumerate(plan.practice)
    ]
    shown = _main(plan, number, random)
    step = len(shown) / max(1, len(plan.checks))
    for k in reversed(range(len(plan.checks))):
        check = Trial(Kind.CHECK, "", plan.checks[k], random.choice(list(Side)))
        shown.insert(random.randint(int(k * step) + 1, int((k + 1) * step)), check)
    return (*practice, *shown)


def _main(plan: Plan, number: int, random: Random) -> list[Trial]:
    """Blocks with each system once, so that no system comes early or late; as often left as right."""
    count = len(plan.systems)
    group, row = divmod(number, count)
    people = [plan.pairs[(group * plan.trials + k) % len(plan.pairs)] for k in range(plan.trials)]
    drawn = [(plan.systems[(k + row) % count], pair) for k, pair in enumerate(people)]
    blocks = [drawn[start : start + count] for start in range(0, plan.trials, count)]
    random.shuffle(blocks)
    for block in blocks:
        random.shuffle(block)
    sides = (list(Side) * plan.trials)[: plan.trials]
    random.shuffle(sides)
    ordered = [one for block in blocks for one in block]
    return [Trial(Kind.MAIN, *one, side) for one, side in zip(ordered, sides, strict=True)]


def picture_names(plan: Plan, number: int) -> dict[str, str]:
    """Files by the names under which the page asks for them: in trial order, left before right.

    A name is another one for every participant and place, so that no two can be compared.
    """
    return {
        hmac.new(plan.secret.encode(), f"{number}/{index}/{side}".encode(), "sha256").hexdigest()[:32]: trial.picture(
            side
        )
        for index, trial in enumerate(trials(plan, number))
        for side in Side
    }
