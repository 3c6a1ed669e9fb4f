"""From measured cells to tables and a page, whether a plan trained them or they are runs that exist."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from aggan.comparison import report, runner
from aggan.comparison.plan import Cell, Plan
from aggan.comparison.report import CAPACITY, Comparison
from aggan.comparison.rows import STUDY
from aggan.comparison.runner import PICTURES, RESULTS, paired, require_weights, test, ways
from aggan.comparison.runs import Run, require_comparable
from aggan.errors import UserError
from aggan.evaluation.capacity import RAFD, table_three
from aggan.io import write_whole
from aggan.methods.base import About
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.methods.registry import CATALOGUE, TABLE_II

BASIS = "basis.sha256"
"""Beside results: the digests of the model, and of what else they were made of."""


class Task(NamedTuple):
    """Runs that are to be compared."""

    runs: list[Run]
    root: Path
    """Its test folder holds the pictures that all are tested on."""
    source: str
    targets: tuple[str, ...]
    inception: Path | None = None
    lpips: Path | None = None

    @property
    def data(self) -> str:
        """What the data set is called."""
        return self.root.resolve().name


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


def of_task(task: Task) -> Comparison:
    """What runs that exist compare."""
    told = ", ".join(f"{run.name} {run.card.steps:,}" for run in task.runs)
    about, roots = {run.name: run.experiment.system.about for run in task.runs}, {task.data: task.root}
    size, budget = task.runs[0].card.size, f"Steps of training: {told}."
    return _comparison(about, roots, task.source, task.targets, size, budget)


def measure(task: Task, out: Path, environment: dict[str, str], tell: Callable[[str, str], None]) -> bool:
    """Measure every run on the same pictures; False if one could not be. Raises `UserError`, `Stopped`."""
    if (out / runner.PLAN).exists():
        raise UserError(f"{out}: holds a benchmark: choose another --out")
    require_weights(task.inception, task.lpips)
    domains, again = (task.source, *task.targets), (out / report.FILE).exists()
    require_comparable(task.runs, domains, task.root / "test")
    # The copies of an earlier report may be of other data.
    runner.show(task.root, out / task.data / runner.TEST, domains, task.runs[0].card.size, again)
    report.note(out, of_task(task))
    asked, failed = ways(task.root, task.source, task.targets, task.inception, task.lpips), False
    read = {way: _digest(way.files) for way in asked}
    for run, folder in zip(task.runs, _folders(task, out), strict=True):
        model = _digest((run.model / CONFIG, run.model / WEIGHTS))
        for way in asked:
            _forget_others(folder / way.to / RESULTS, f"{model} {read[way]}\n")
        commands = [test(run.folder.resolve(), folder, way) for way in asked]
        runner.carry_out(commands, folder, environment, lambda what, name=run.name: tell(name, what))
        failed |= (folder / runner.FAILURE).exists()
    return not failed


def _folders(task: Task, out: Path) -> list[Path]:
    """Where each is measured; of an earlier report that had more runs of a name, the others' results go."""
    seeds, found = Counter(), []
    for run in task.runs:
        found.append(Cell(task.data, run.name, seeds[run.name]).folder(out))
        seeds[run.name] += 1
    for name in seeds:
        for results in (out / task.data / name).glob(f"seed-*/*/{RESULTS}"):
            if results.parents[1] not in found:
                results.unlink()
    return found


def _forget_others(results: Path, basis: str) -> None:
    """Figures and pictures of another run, or of other data or weights, are made anew."""
    noted = results.with_name(BASIS)
    if not noted.exists() or noted.read_text(encoding="utf-8") != basis:
        results.unlink(missing_ok=True)
        shutil.rmtree(results.with_name(PICTURES), ignore_errors=True)
        write_whole(noted, lambda path: path.write_text(basis, encoding="utf-8"))


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 of files and of where they are."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(os.fsencode(file.resolve()))
        whole.update(file.read_bytes())
    return whole.hexdigest()


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
    return report.write(out)
