"""`aggan benchmark PLAN --out DIR`: train, evaluate and compare methods. The same command resumes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aggan.errors import UserError

if TYPE_CHECKING:
    from aggan.comparison.plan import Plan, Trial

INTERRUPTED = 130


@dataclass
class Benchmark:
    """Compare methods under one budget: train and evaluate each, and write tables and a page."""

    plan: Annotated[str, tyro.conf.Positional]
    """A plan that ships (quick, table1, table2, expressions), or a YAML file."""
    out: Path
    """Folder for everything; the same command resumes there."""
    only: tuple[str, ...] = ()
    """Methods of the plan to work on; all by default."""
    jobs: int = 1
    """Number of trainings at a time, which share the processor."""


def main(argv: list[str]) -> int:
    """Run the verb. Returns 1 if a method failed, 130 after an interrupt."""
    args = tyro.cli(Benchmark, args=argv, prog="aggan benchmark")
    from aggan.comparison import compare, report, runner
    from aggan.comparison.plan import list_trials, read_plan

    plan = read_plan(args.plan)
    trials = _select_trials(plan, args.only)
    if args.jobs < 1:
        raise UserError(f"--jobs {args.jobs}: must be 1 or more")
    runner.require_space_for(plan, args.out, trials)
    left_out: list[str] = []

    def on_left_out(message: str) -> None:
        left_out.append(message)
        _warn(message)

    runner.prepare(plan, args.out, print, on_left_out)
    console = Console()
    statuses = {trial: runner.trial_status(args.out, trial, plan.targets) for trial in list_trials(plan)}
    lock = Lock()
    with Live(status_table(statuses), console=console, auto_refresh=False) as live:

        def on_status(trial: Trial, status: str) -> None:
            with lock:
                statuses[trial] = status
                live.update(status_table(statuses), refresh=True)

        try:
            runner.run_trials(plan, args.out, trials, args.jobs, on_status)
        except runner.Interrupted:
            console.print(f"Stopped; everything is saved. The same command resumes in {args.out}.", markup=False)
            return INTERRUPTED
    if not console.is_terminal:
        console.print()  # rich ends the table without a line break there
    report.save(args.out, compare.describe_plan(plan, args.out)._replace(left_out=left_out))
    page = compare.write(args.out, _warn)
    failed = [trial for trial in trials if statuses[trial] != runner.DONE]
    for trial in failed:
        log = trial.folder(args.out) / runner.LOG
        _warn(f"failed: {trial.method} on {trial.data}, seed {trial.seed}: {statuses[trial]} ({log})")
    print(f"Report: {page.resolve().as_uri()}")
    return 1 if failed else 0


def _warn(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _select_trials(plan: Plan, only: tuple[str, ...]) -> list[Trial]:
    from aggan.comparison.plan import list_trials

    trials = list_trials(plan)
    for name in only:
        if name not in {trial.method for trial in trials}:
            raise UserError(f"--only {name}: not in the plan, which has {', '.join(plan.methods)}")
    return [trial for trial in trials if not only or trial.method in only]


def status_table(statuses: dict[Trial, str]) -> Table:
    """The status of every trial."""
    table = Table("data", "method", "seed", "status")
    for trial, status in statuses.items():
        table.add_row(*map(Text, (trial.data, trial.method, str(trial.seed), status)))  # not to be read as markup
    return table
