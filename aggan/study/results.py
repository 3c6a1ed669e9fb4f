"""From participations to shares and tests: what `study.json` holds."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from aggan.io import write_whole
from aggan.stats import wilson
from aggan.study import statistics
from aggan.study.answers import Participation
from aggan.study.plan import Plan

RESULTS = "study.json"


class Fooled(BaseModel):
    """A system's row: how often its pictures were held to be real, of all pairs with a real picture."""

    fooled: float | None
    interval: tuple[float, float]
    """95 %: over participants, and never narrower than Wilson's."""
    wilson: tuple[float, float]
    answers: int
    participants: int


class Difference(BaseModel):
    """Two systems compared within participants."""

    systems: tuple[str, str]
    difference: float
    p: float
    p_holm: float


class Counts(BaseModel):
    """Who is not counted, and why."""

    joined: int
    unfinished: int
    inattentive: int
    """Finished, with more attention checks missed than allowed."""
    allowed_misses: int
    checks: int
    counted: int


class Results(BaseModel):
    """`study.json`."""

    version: int = 1
    study: str
    exposure: float
    systems: dict[str, Fooled]
    pairwise: list[Difference]
    participants: Counts


def results(plan: Plan, found: list[Participation]) -> Results:
    """Figures of all who are counted."""
    counted = [one for one in found if one.counted]
    answered = {name: [one.shares(name) for one in counted] for name in plan.systems}
    return Results(
        study=plan.study,
        exposure=plan.settings.exposure,
        systems={name: _fooled(shares) for name, shares in answered.items()},
        pairwise=_pairwise({name: _means(shares) for name, shares in answered.items()}) if counted else [],
        participants=Counts(
            joined=len(found),
            unfinished=sum(not one.finished for one in found),
            inattentive=sum(one.finished and not one.attentive for one in found),
            allowed_misses=plan.settings.misses,
            checks=len(plan.checks),
            counted=len(counted),
        ),
    )


def write_results(made: Results, path: Path) -> None:
    """Write `study.json`."""
    write_whole(path, lambda partial: partial.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8"))


def _fooled(shares: list[list[bool]]) -> Fooled:
    answers, fooled = sum(map(len, shares)), sum(map(sum, shares))
    alone = wilson(fooled, answers)
    drawn = statistics.bootstrap(_means(shares)) if shares else alone
    return Fooled(
        fooled=fooled / answers if answers else None,
        interval=(min(alone[0], drawn[0]), max(alone[1], drawn[1])),
        wilson=alone,
        answers=answers,
        participants=len(shares),
    )


def _means(shares: list[list[bool]]) -> Any:
    return np.array([np.mean(one) for one in shares])


def _pairwise(means: dict[str, Any]) -> list[Difference]:
    pairs = list(combinations(means, 2))
    differences = [means[a] - means[b] for a, b in pairs]
    ps = [statistics.sign_flip(one) for one in differences]
    rows = zip(pairs, differences, ps, statistics.holm(ps), strict=True)
    return [Difference(systems=pair, difference=one.mean(), p=p, p_holm=q) for pair, one, p, q in rows]
