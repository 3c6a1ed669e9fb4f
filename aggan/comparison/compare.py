"""Compares the trials of a plan, or existing runs: from their results to tables and a page."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from aggan.comparison import report, runner
from aggan.comparison.migrate import IMAGES
from aggan.comparison.plan import Plan, Trial
from aggan.comparison.report import CAPACITY, Comparison
from aggan.comparison.rows import STUDY
from aggan.comparison.runner import FAILURE, RESULTS, Direction, evaluation_command, has_pairs, require_files
from aggan.comparison.runs import Run, require_comparable
from aggan.errors import UserError
from aggan.evaluation.capacity import TABLE_III_DOMAINS, table_three
from aggan.io import write_atomic, write_json_atomic, write_text_atomic
from aggan.methods.base import MethodConfig
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.methods.registry import METHODS, TABLE_II
from aggan.types import Needs

BASIS = "basis.sha256"
"""Beside results.json: digests of the model, and of everything else that the evaluation read."""


class RunComparison(NamedTuple):
    """Existing runs to compare."""

    runs: list[Run]
    root: Path
    """Folder of the data set: all runs are evaluated on the images below `root`/test."""
    source: str
    targets: tuple[str, ...]
    classifier: str | None = None
    inception: Path | None = None
    lpips: Path | None = None

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.root.resolve().name

    @property
    def directions(self) -> list[Direction]:
        networks = self.classifier, self.inception, self.lpips
        return [Direction(self.root, self.source, to, *networks) for to in self.targets]


def describe_plan(plan: Plan, out: Path) -> Comparison:
    """The comparison that a plan asks for."""
    names = dict.fromkeys([*plan.methods, *plan.more_seeds])
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{plan.epochs} epochs"
    clock = " of processor time" if plan.processor_time else ""
    threads = f" on {plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.threads else ""
    budget = f"Each method was trained for {length}{clock}{threads} with the recipe {Path(plan.recipe).stem}."
    roots = {data: data_set.root or out / "faces" for data, data_set in plan.data.items()}
    methods = {name: METHODS[name] for name in names}
    return _describe(methods, roots, plan.source, plan.targets, plan.size, budget)


def describe_runs(comparison: RunComparison) -> Comparison:
    """The comparison of existing runs."""
    steps = ", ".join(f"{run.name} {run.card.steps:,}" for run in comparison.runs)
    methods = {run.name: run.experiment.method for run in comparison.runs}
    roots, size = {comparison.data: comparison.root}, comparison.runs[0].card.size
    return _describe(methods, roots, comparison.source, comparison.targets, size, f"Training steps: {steps}.")


def _describe(
    methods: Mapping[str, MethodConfig],
    roots: dict[str, Path],
    source: str,
    targets: tuple[str, ...],
    size: int,
    budget: str,
) -> Comparison:
    return Comparison(
        source=source,
        targets=list(targets),
        size=size,
        budget=budget,
        methods=[name for name in methods if name not in TABLE_II[1:]] or list(methods),
        ablations=[name for name in methods if name in TABLE_II],
        data=list(roots),
        without_ground_truth=[
            data for data, root in roots.items() if not has_pairs(root / "test" / source, root / "test" / targets[0])
        ],
        learn_from_pairs=[name for name, config in methods.items() if config.needs is Needs.PAIRED],
    )


def evaluate_runs(
    comparison: RunComparison, out: Path, environment: dict[str, str], on_status: Callable[[str, str], object]
) -> bool:
    """Evaluate all runs on the same images, and call `on_status` with a run's name and what is being done.

    Returns False if an evaluation failed. Raises `UserError` if the runs cannot be compared, and `Interrupted`.
    """
    if (out / runner.PLAN).exists():
        raise UserError(f"{out}: holds a benchmark: choose another --out")
    require_files(comparison.inception, comparison.lpips)
    domains = comparison.source, *comparison.targets
    require_comparable(comparison.runs, domains, comparison.root / "test")
    copies, size = out / comparison.data / runner.TEST, comparison.runs[0].card.size
    # The copies of an earlier report may be of other data.
    runner.copy_test_images(comparison.root, copies, domains, size, replace=(out / report.FILE).exists())
    report.save(out, describe_runs(comparison))
    digests = {direction: _basis(direction) for direction in comparison.directions}
    failed = False
    for run, folder in zip(comparison.runs, _run_folders(comparison, out), strict=True):
        model = _digest((run.model / CONFIG, run.model / WEIGHTS))
        for direction, digest in digests.items():
            _remove_outdated(folder / direction.to / RESULTS, f"{model} {digest}\n")
        commands = [evaluation_command(run.folder.resolve(), folder, direction) for direction in digests]
        runner.run_commands(commands, folder, environment, lambda status, name=run.name: on_status(name, status))
        failed |= (folder / FAILURE).exists()
    return not failed


def _run_folders(comparison: RunComparison, out: Path) -> list[Path]:
    """The folder of each run's evaluation. Results of an earlier report with more runs of a name are removed."""
    seeds, folders = Counter[str](), []
    for run in comparison.runs:
        folders.append(Trial(comparison.data, run.name, seeds[run.name]).folder(out))
        seeds[run.name] += 1
    for name in seeds:
        for results in (out / comparison.data / name).glob(f"seed-*/*/{RESULTS}"):
            if results.parents[1] not in folders:
                results.unlink()
    return folders


def _remove_outdated(results: Path, basis: str) -> None:
    """Remove results and images that another model, other data or other networks led to."""
    saved = results.with_name(BASIS)
    if not saved.exists() or saved.read_text(encoding="utf-8") != basis:
        results.unlink(missing_ok=True)
        shutil.rmtree(results.with_name(IMAGES), ignore_errors=True)
        write_text_atomic(saved, basis)


def _basis(direction: Direction) -> str:
    digest = _digest(direction.files)
    return f"{digest} {direction.classifier}" if direction.classifier else digest


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 of the content and the paths of files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.resolve()))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def write(out: Path, study: Path | None = None) -> Path:
    """Write tables and page, with Table III and the results of a study if there are any. Returns the page's path."""
    write_json_atomic(out / CAPACITY, {"domains": TABLE_III_DOMAINS, "methods": table_three()})
    if study:
        write_atomic(out / STUDY, lambda path: shutil.copyfile(study, path))
    return report.write(out)
