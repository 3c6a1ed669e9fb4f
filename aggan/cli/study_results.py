"""`aggan study results STUDY [--json] [--csv] [--people]`."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggan.study.answers import participations, write_answers, write_people
from aggan.study.plan import read_plan
from aggan.study.results import RESULTS, Results, results, write_results
from aggan.study.serving import database_of
from aggan.study.store import Store


@dataclass
class Show:
    """How often each system's pictures were held to be real, with 95 % intervals and tests between systems."""

    study: Annotated[Path, tyro.conf.Positional]
    """A folder that `aggan study create` made."""
    database: str | None = None
    """Where the answers are, if not in the study's folder."""
    json: bool = False
    """Write STUDY/study.json, which reports read."""
    csv: bool = False
    """Write STUDY/answers.csv: every answer, and nothing about who gave it."""
    people: bool = False
    """Write STUDY/people.csv: who finished, by the number under which a service pays them."""


def main(arguments: list[str]) -> int:
    """Run the action and give its exit code."""
    asked = tyro.cli(Show, args=arguments, prog="aggan study results")
    plan = read_plan(asked.study)
    with closing(Store(database_of(asked.study, asked.database), plan.study)) as store:
        found = participations(plan, store)
    made = results(plan, found)
    show(made)
    for wanted, name, write in (
        (asked.json, RESULTS, lambda path: write_results(made, path)),
        (asked.csv, "answers.csv", lambda path: write_answers(found, path)),
        (asked.people, "people.csv", lambda path: write_people(found, path)),
    ):
        if wanted:
            write(asked.study / name)
            print(f"Wrote {asked.study / name}")
    return 0


def show(made: Results) -> None:
    """Print all of it."""
    who = made.participants
    print(
        f"{who.counted} of {who.joined} participants counted; {who.unfinished} did not finish, {who.inattentive} "
        f"missed more than {who.allowed_misses} of {who.checks} attention checks."
    )
    table = Table("system", "fooled", "95 % interval", "answers")
    for name, row in made.systems.items():
        share = "-" if row.fooled is None else f"{row.fooled:.1%}"
        table.add_row(Text(name), share, " to ".join(f"{end:.1%}" for end in row.interval), str(row.answers))
    tests = Table("systems", "difference", "p", "p after Holm")
    for one in made.pairwise:
        tests.add_row(Text(" - ".join(one.systems)), f"{one.difference:+.1%}", f"{one.p:.4f}", f"{one.p_holm:.4f}")
    console = Console()
    for shown in (table, tests) if made.pairwise else (table,):
        console.print(shown)
