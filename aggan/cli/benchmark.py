"""`aggan benchmark PLAN --out DIR`: train, measure and compare; goes on where it was stopped."""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated

import tyro
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aggan.comparison.plan import Cell, Plan, cells, read_plan
from aggan.errors import UserError

INTERRUPTED = 130


@dataclass
class Benchmark:
    """Compare systems under one budget: trainings, measures, tables."""

    plan: Annotated[str, tyro.conf.Positional]
    """A plan that ships (quick, table1, table2, expressions), or a YAML file."""
    out: Path
    """Folder for everything; the same command goes on there."""
    only: tuple[str, ...] = ()
    """Of the plan's systems, work on these."""
    jobs: int = 1
    """Trainings at a time; each of them gets slower."""


def main(arguments: list[str]) -> int:
    """Run the verb; 1 where a system failed, 130 after an interrupt."""
    asked = tyro.cli(Benchmark, args=arguments, prog="aggan benchmark")
    plan = read_plan(asked.plan)
    chosen = _chosen(plan, asked.only)
    if asked.jobs < 1:
        raise UserError(f"--jobs {asked.jobs}: it should be at least 1")
    from aggan.comparison import compare, report, runner

    runner.begin(plan, asked.out)
    console = Console()
    states = {cell: runner.state(asked.out, cell, plan.targets) for cell in cells(plan)}
    lock = Lock()
    with Live(_shown(states), console=console, auto_refresh=False) as live:

        def tell(cell: Cell, what: str) -> None:
            with lock:
                states[cell] = what
                live.update(_shown(states), refresh=True)

        try:
            runner.work(plan, asked.out, chosen, asked.jobs, tell)
        except runner.Stopped:
            console.print(f"Stopped; everything is saved. The same command goes on in {asked.out}.", markup=False)
            return INTERRUPTED
    report.note(asked.out, compare.of_plan(plan, asked.out))
    report = compare.write(asked.out)
    print(f"Report: {report.resolve().as_uri()}")
    return 0 if all(states[cell] == "done" for cell in chosen) else 1


def _chosen(plan: Plan, only: tuple[str, ...]) -> list[Cell]:
    for name in only:
        if name not in {cell.system for cell in cells(plan)}:
            raise UserError(f"--only {name}: not in the plan, which has {', '.join(plan.systems)}")
    return [cell for cell in cells(plan) if not only or cell.system in only]


def _shown(states: dict[Cell, str]) -> Table:
    table = Table("data", "system", "seed", "state")
    for cell, state in states.items():
        table.add_row(*map(Text, (cell.data, cell.system, str(cell.seed), state)))  # what they say is no markup
    return table
