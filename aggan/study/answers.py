"""What participants answered, beside what was true: from the store and the plan."""

import csv
from dataclasses import dataclass
from pathlib import Path

from aggan.io import write_whole
from aggan.study.design import Kind, Trial, trials
from aggan.study.plan import Plan
from aggan.study.store import Store
from aggan.study.tables import Answer, Participant

COLUMNS = (
    "participant",
    "counted",
    "trial",
    "kind",
    "system",
    "pair",
    "real",
    "chosen",
    "fooled",
    "milliseconds",
    "at",
)
PEOPLE = ("participant", "service", "person", "session", "joined", "answered", "of", "missed", "counted")


@dataclass(frozen=True)
class Given:
    """An answer; somebody is fooled who holds the fake to be real."""

    trial: Trial
    answer: Answer

    @property
    def fooled(self) -> bool:
        """Whether the fake was chosen."""
        return self.answer.chosen != self.trial.real


@dataclass(frozen=True)
class Participation:
    """Somebody's answers in the order of their trials."""

    number: int
    who: Participant
    of: int
    given: tuple[Given, ...]
    allowed_misses: int

    @property
    def finished(self) -> bool:
        """Whether every pair was answered."""
        return len(self.given) == self.of

    @property
    def missed(self) -> int:
        """Attention checks that were failed."""
        return sum(one.fooled for one in self.given if one.trial.kind is Kind.CHECK)

    @property
    def attentive(self) -> bool:
        """Whether few enough checks were missed."""
        return self.missed <= self.allowed_misses

    @property
    def counted(self) -> bool:
        """Whether the results have these answers."""
        return self.finished and self.attentive

    def shares(self, system: str) -> list[bool]:
        """Of a system's pairs, which fooled."""
        return [one.fooled for one in self.given if one.trial.kind is Kind.MAIN and one.trial.system == system]


def participations(plan: Plan, store: Store) -> list[Participation]:
    """All that began, finished or not."""
    people, answers = store.everything()
    found = []
    for who in people:
        assert who.id is not None
        shown = trials(plan, number := who.id - 1)
        given = tuple(Given(shown[one.trial], one) for one in answers[who.id])
        found.append(Participation(number, who, len(shown), given, plan.settings.misses))
    return found


def write_answers(found: list[Participation], path: Path) -> None:
    """Every answer as a line of CSV; nothing in it tells who a participant is."""
    rows = (
        (
            one.number,
            one.counted,
            a.trial,
            t.kind,
            t.system,
            t.pair.name,
            t.real,
            a.chosen,
            given.fooled,
            a.milliseconds,
            a.at,
        )
        for one in found
        for given in one.given
        for a, t in [(given.answer, given.trial)]
    )
    _write(path, COLUMNS, rows)


def write_people(found: list[Participation], path: Path) -> None:
    """Everybody who finished as a line of CSV, by the number under which a service pays them."""
    rows = (
        (one.number, w.service, w.person, w.session, w.joined, len(one.given), one.of, one.missed, one.counted)
        for one in found
        if one.finished
        for w in [one.who]
    )
    _write(path, PEOPLE, rows)


def _write(path: Path, header: tuple[str, ...], rows) -> None:
    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows((header, *rows))

    write_whole(path, write)
