"""From measured cells to tables and a page, whether a plan trained them or they are runs that exist."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aggan.benchmark import work
from aggan.benchmark.plan import Cell, Plan
from aggan.benchmark.runs import Run, require_comparable
from aggan.benchmark.steps import RESULTS, paired, test, ways
from aggan.evaluation.capacity import RAFD, table_three
from aggan.reports import comparison
from aggan.reports.comparison import CAPACITY, Comparison
from aggan.reports.rows import STUDY
from aggan.system import About
from aggan.systems.catalogue import CATALOGUE, TABLE_II
from aggan.writing import write_whole


class Task(NamedTuple):
    """Runs that are to be compared."""

    runs: list[Run]
    root: Path
    """Its test folder holds the pictures that all are tested on."""
    source: str
    targets: tuple[str, ...]
    inception: Path | None = None
    lpips: Path | None = None


def of_plan(plan: Plan, out: Path) -> Comparison:
    """What a plan compares."""
    names = list(dict.fromkeys([*plan.systems, *plan.more_seeds]))
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{plan.epochs} epochs"
    clock = " of processor time" if plan.processor_time else ""
    threads = f" on {plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.threads else ""
    budget = f"Each system was trained for {length}{clock}{threads} with the recipe {Path(plan.recipe).stem}."
    roots = {data: source.root or out / "faces" for data, source in plan.data.items()}
    about = {name: CATALOGUE[name].about for name in names}
    return _comparison(about, roots, plan.source, plan.targets, plan.size, budget)


def measure(task: Task, out: Path, environment: dict[str, str], tell: Callable[[str, str], None]) -> bool:
    """Measure every run on the same pictures; False if one could not be. Raises `UserError`, `Stopped`."""
    domains, data = (task.source, *task.targets), task.root.resolve().name
    require_comparable(task.runs, domains, task.root / "test")
    work.show(task.root, out / data / work.TEST, domains, task.runs[0].card.size)
    seeds, failed = Counter(), False
    asked = ways(task.root, task.source, task.targets, task.inception, task.lpips)
    for run in task.runs:
        folder = Cell(data, run.name, seeds[run.name]).folder(out)
        seeds[run.name] += 1
        for way in asked:
            _forget_others(folder / way.to / RESULTS, run)
        commands = [test(run.folder.resolve(), folder, way) for way in asked]
        work.carry_out(commands, folder, environment, lambda what, name=run.name: tell(name, what))
        failed |= (folder / work.FAILURE).exists()
    told = ", ".join(f"{run.name} {run.card.steps:,}" for run in task.runs)
    about, roots = {run.name: run.experiment.system.about for run in task.runs}, {data: task.root}
    found = _comparison(about, roots, task.source, task.targets, task.runs[0].card.size, f"Steps of training: {told}.")
    comparison.note(out, found)
    return not failed


def _forget_others(results: Path, run: Run) -> None:
    """Figures of another run of that name, or of this one before it was trained further, are measured anew."""
    if results.exists():
        told = json.loads(results.read_text(encoding="utf-8"))
        if (told["model"], told["steps"]) != (str(run.folder.resolve()), run.card.steps):
            results.unlink()


def _comparison(
    about: dict[str, About], roots: dict[str, Path], source: str, targets: tuple[str, ...], size: int, budget: str
) -> Comparison:
    ablations = [name for name in about if name in TABLE_II]
    systems = [name for name in about if name not in TABLE_II[1:]] or list(about)
    by_pairs = [name for name in about if about[name].needs == "pairs"]
    unpaired = [data for data, root in roots.items() if not paired(root / "test" / source, root / "test" / targets[0])]
    return Comparison(source, list(targets), size, budget, systems, ablations, list(roots), unpaired, by_pairs)


def write(out: Path, study: Path | None = None) -> Path:
    """Write tables and page, with Table III and perhaps a study's answers; gives the page's path."""
    counts = json.dumps({"domains": RAFD, "systems": table_three()}, indent=2) + "\n"
    write_whole(out / CAPACITY, lambda path: path.write_text(counts, encoding="utf-8"))
    if study:
        write_whole(out / STUDY, lambda path: shutil.copyfile(study, path))
    return comparison.write(out)
