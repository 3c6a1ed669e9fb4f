"""`aggan study results STUDY [--json] [--csv] [--participants]`."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from aggan.io import require_output_file

if TYPE_CHECKING:
    from aggan.study.results import Results

ANSWERS = "answers.csv"
PARTICIPANTS = "participants.csv"


@dataclass
class Show:
    """Show how often each method's fake images fooled participants, with 95 % intervals and pairwise tests."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder created by `aggan study create`."""
    database: str | None = None
    """URL of the database. [an SQLite file in the folder of the study]"""
    json: bool = False
    """Write STUDY/study.json, which reports read."""
    csv: bool = False
    """Write STUDY/answers.csv: all answers, without anything that identifies participants."""
    participants: bool = False
    """Write STUDY/participants.csv: who finished, with their IDs at the recruiting service, for payment."""


def main(argv: list[str]) -> int:
    """Run the action. Returns the exit code."""
    args = tyro.cli(Show, args=argv, prog="aggan study results")
    from aggan.study.database import AnswerDatabase, readable_url
    from aggan.study.participation import load_participations, write_answers, write_participants
    from aggan.study.plan import read_plan
    from aggan.study.results import RESULTS, compute_results, write_results

    plan = read_plan(args.study)
    outputs = {"--json": RESULTS, "--csv": ANSWERS, "--participants": PARTICIPANTS}
    requested = [option for option in outputs if getattr(args, option.removeprefix("--"))]
    for option in requested:
        require_output_file(args.study / outputs[option], option)
    with readable_url(args.study, args.database) as url, closing(AnswerDatabase(url, plan.study)) as database:
        participations = load_participations(plan, database)
    results = compute_results(plan, participations)
    print_results(results)
    writers = {
        "--json": lambda path: write_results(results, path),
        "--csv": lambda path: write_answers(participations, path),
        "--participants": lambda path: write_participants(participations, path),
    }
    for option in requested:
        path = args.study / outputs[option]
        writers[option](path)
        print(f"Wrote {path}")
    return 0


def print_results(results: "Results") -> None:
    """Print the tables of results."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = results.participants
    print(
        f"{counts.counted} of {counts.joined} participants counted; {counts.unfinished} did not finish, "
        f"{counts.inattentive} missed more than {counts.max_missed_checks} of {counts.checks} attention checks."
    )
    rates = Table("method", "fooled", "95 % interval", "answers")
    for method, row in results.methods.items():
        rate = "-" if row.fooled is None else f"{row.fooled:.1%}"
        rates.add_row(Text(method), rate, " to ".join(f"{end:.1%}" for end in row.interval), str(row.answers))
    tests = Table("methods", "difference", "p", "p (Holm)")
    for test in results.pairwise:
        tests.add_row(Text(" - ".join(test.methods)), f"{test.difference:+.1%}", f"{test.p:.4f}", f"{test.p_holm:.4f}")
    console = Console()
    console.print(rates)
    if results.pairwise:
        console.print(tests)
