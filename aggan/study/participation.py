"""Participations: the stored answers of each participant, scored against the plan."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aggan.io import write_atomic
from aggan.study.database import Answer, AnswerDatabase, Participant
from aggan.study.design import Kind, Trial, participant_trials
from aggan.study.plan import Plan

ANSWER_COLUMNS = (
    "participant",
    "counted",
    "trial",
    "kind",
    "method",
    "pair",
    "real",
    "chosen",
    "fooled",
    "milliseconds",
    "at",
)
PARTICIPANT_COLUMNS = (
    "participant",
    "service",
    "person",
    "session",
    "joined",
    "answered",
    "trials",
    "missed_checks",
    "counted",
)


@dataclass(frozen=True)
class ScoredAnswer:
    """An answer with the trial that it belongs to."""

    trial: Trial
    answer: Answer

    @property
    def fooled(self) -> bool:
        """Whether the participant took the fake image for the real one."""
        return self.answer.chosen != self.trial.real_side


@dataclass(frozen=True)
class Participation:
    """One participant's answers, in the order of trials."""

    number: int
    participant: Participant
    trial_count: int
    answers: tuple[ScoredAnswer, ...]
    max_missed_checks: int

    @property
    def finished(self) -> bool:
        """Whether all trials are answered."""
        return len(self.answers) == self.trial_count

    @property
    def missed_checks(self) -> int:
        """Number of failed attention checks."""
        return sum(scored.fooled for scored in self.answers if scored.trial.kind is Kind.CHECK)

    @property
    def attentive(self) -> bool:
        """Whether no more attention checks were missed than allowed."""
        return self.missed_checks <= self.max_missed_checks

    @property
    def counted(self) -> bool:
        """Whether the results include these answers."""
        return self.finished and self.attentive

    def fooled_by(self, method: str) -> list[bool]:
        """For each main trial of a method, whether its fake image fooled the participant."""
        main = (scored for scored in self.answers if scored.trial.kind is Kind.MAIN)
        return [scored.fooled for scored in main if scored.trial.method == method]


def load_participations(plan: Plan, database: AnswerDatabase) -> list[Participation]:
    """All participations, including unfinished ones."""
    participants, answers = database.load()
    participations = []
    for participant in participants:
        assert participant.id is not None
        number = participant.id - 1
        trials = participant_trials(plan, number)
        scored = tuple(ScoredAnswer(trials[answer.trial], answer) for answer in answers[participant.id])
        participations.append(Participation(number, participant, len(trials), scored, plan.settings.max_missed_checks))
    return participations


def write_answers(participations: list[Participation], path: Path) -> None:
    """Write all answers as CSV. The file contains nothing that identifies a participant."""
    rows = (
        (
            participation.number,
            participation.counted,
            scored.answer.trial,
            scored.trial.kind,
            scored.trial.method,
            scored.trial.pair.name,
            scored.trial.real_side,
            scored.answer.chosen,
            scored.fooled,
            scored.answer.milliseconds,
            scored.answer.at,
        )
        for participation in participations
        for scored in participation.answers
    )
    _write_csv(path, ANSWER_COLUMNS, rows)


def write_participants(participations: list[Participation], path: Path) -> None:
    """Write the finished participations as CSV, with each participant's ID at the recruiting service."""
    rows = (
        (
            participation.number,
            participation.participant.service,
            participation.participant.person,
            participation.participant.session,
            participation.participant.joined,
            len(participation.answers),
            participation.trial_count,
            participation.missed_checks,
            participation.counted,
        )
        for participation in participations
        if participation.finished
    )
    _write_csv(path, PARTICIPANT_COLUMNS, rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows((columns, *rows))

    write_atomic(path, write)
