"""Results of a study: fooling rates with intervals, and tests between methods, as `study.json` holds them."""

from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel

from aggan.io import write_atomic
from aggan.stats import bootstrap_interval, wilson_interval
from aggan.study.participation import Participation
from aggan.study.plan import Plan
from aggan.study.statistics import RESAMPLES, holm_correction, sign_flip_test

RESULTS = "study.json"


class MethodResult(BaseModel):
    """How often the fake images of a method fooled participants."""

    fooled: float | None
    """Fooling rate in 0..1: fakes taken for real / main trials; None without answers."""
    interval: tuple[float, float]
    """95 % bootstrap interval over participants, widened to contain Wilson's interval."""
    wilson_interval: tuple[float, float]
    """95 % interval that treats all answers as independent."""
    answers: int
    participants: int


class PairwiseTest(BaseModel):
    """Two methods compared within participants (sign-flip permutation test)."""

    methods: tuple[str, str]
    difference: float
    """Mean difference of the fooling rates, first minus second."""
    p: float
    p_holm: float
    """`p` after Holm's correction for the number of tests."""


class ParticipantCounts(BaseModel):
    """How many participants are counted, and why the others are not."""

    joined: int
    unfinished: int
    inattentive: int
    """Finished, but missed more than `max_missed_checks` attention checks."""
    max_missed_checks: int
    checks: int
    counted: int


class Results(BaseModel):
    """The content of `study.json`."""

    version: Literal[2] = 2
    study: str
    exposure: float
    """Seconds for which a pair was visible; 0: until answered."""
    methods: dict[str, MethodResult]
    pairwise: list[PairwiseTest]
    participants: ParticipantCounts


def compute_results(plan: Plan, participations: list[Participation]) -> Results:
    """Compute the results from all participations that count."""
    counted = [participation for participation in participations if participation.counted]
    fooled = {method: [participation.fooled_by(method) for participation in counted] for method in plan.methods}
    return Results(
        study=plan.study,
        exposure=plan.settings.exposure,
        methods={method: _method_result(answers) for method, answers in fooled.items()},
        pairwise=_pairwise_tests({method: _rates(answers) for method, answers in fooled.items()}) if counted else [],
        participants=ParticipantCounts(
            joined=len(participations),
            unfinished=sum(not participation.finished for participation in participations),
            inattentive=sum(one.finished and not one.attentive for one in participations),
            max_missed_checks=plan.settings.max_missed_checks,
            checks=len(plan.checks),
            counted=len(counted),
        ),
    )


def write_results(results: Results, path: Path) -> None:
    """Write `study.json`."""
    write_atomic(path, lambda partial: partial.write_text(results.model_dump_json(indent=2) + "\n", encoding="utf-8"))


def _method_result(fooled: list[list[bool]]) -> MethodResult:
    answer_count, fooled_count = sum(map(len, fooled)), sum(map(sum, fooled))
    wilson = wilson_interval(fooled_count, answer_count)
    bootstrap = bootstrap_interval(_rates(fooled), RESAMPLES) if fooled else wilson
    return MethodResult(
        fooled=fooled_count / answer_count if answer_count else None,
        interval=(min(wilson[0], bootstrap[0]), max(wilson[1], bootstrap[1])),
        wilson_interval=wilson,
        answers=answer_count,
        participants=len(fooled),
    )


def _rates(fooled: list[list[bool]]) -> Float[np.ndarray, " participants"]:
    """The fooling rate of each participant."""
    return np.array([np.mean(answers) for answers in fooled], dtype=float)


def _pairwise_tests(rates: dict[str, Float[np.ndarray, " participants"]]) -> list[PairwiseTest]:
    pairs = list(combinations(rates, 2))
    differences = [rates[first] - rates[second] for first, second in pairs]
    p_values = [sign_flip_test(difference) for difference in differences]
    corrected = holm_correction(p_values)
    return [
        PairwiseTest(methods=pair, difference=difference.mean(), p=p, p_holm=p_holm)
        for pair, difference, p, p_holm in zip(pairs, differences, p_values, corrected, strict=True)
    ]
