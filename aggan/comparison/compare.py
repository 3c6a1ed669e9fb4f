"""Compares the trials of a plan, or existing runs: from their results to tables and a page."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aggan.comparison import report, runner
from aggan.comparison.migrate import IMAGES
from aggan.comparison.plan import Plan, Trial
from aggan.comparison.report import CAPACITY, Comparison
from aggan.comparison.rows import STUDY
from aggan.comparison.runner import FAILURE, RESULTS, Direction, Report, evaluation_command, has_pairs, require_files
from aggan.comparison.runs import Run, require_comparable
from aggan.data.folders import find_folders, list_images
from aggan.errors import UserError
from aggan.evaluation.capacity import TABLE_III_DOMAINS, table_three
from aggan.evaluation.evaluate import BYTES_PER_PIXEL
from aggan.evaluation.test_set import find_test_folders
from aggan.io import (
    printable,
    require_not_below,
    require_output_folder,
    require_space,
    write_atomic,
    write_json_atomic,
    write_text_atomic,
)
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
    """Folder of the data set."""
    folders: dict[str, Path]
    """Of its test images by domain: all runs are evaluated on them."""
    source: str
    targets: tuple[str, ...]
    classifier: str | None = None
    inception: Path | None = None
    lpips: Path | None = None

    @property
    def data(self) -> str:
        """Name of the data set."""
        return printable(self.root.resolve().name)

    @property
    def size(self) -> int:
        return self.runs[0].card.size

    @property
    def directions(self) -> list[Direction]:
        networks = self.classifier, self.inception, self.lpips
        inputs = self.folders[self.source]
        return [Direction(inputs, self.folders[to], self.source, to, *networks) for to in self.targets]


def describe_plan(plan: Plan, out: Path) -> Comparison:
    """The comparison that a plan asks for."""
    names = dict.fromkeys([*plan.methods, *plan.more_seeds])
    length = f"{plan.minutes:g} minutes" if plan.minutes else f"{plan.epochs} epochs"
    clock = " of processor time" if plan.processor_time else ""
    threads = f" on {plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.threads else ""
    budget = f"Each method was trained for {length}{clock}{threads} with the recipe {Path(plan.recipe).stem}."
    domains = plan.source, *plan.targets
    folders = {data: find_test_folders(data_set.root or out / "faces", domains) for data, data_set in plan.data.items()}
    methods = {name: METHODS[name] for name in names}
    return _describe(methods, folders, plan.source, plan.targets, plan.size, budget)


def describe_runs(comparison: RunComparison, unchecked: list[str]) -> Comparison:
    """The comparison of existing runs. `unchecked` are those whose training images are gone."""
    steps = ", ".join(f"{run.name} {run.card.steps:,}" for run in comparison.runs)
    methods = {run.name: run.experiment.method for run in comparison.runs}
    folders, budget = {comparison.data: comparison.folders}, f"Training steps: {steps}."
    described = _describe(methods, folders, comparison.source, comparison.targets, comparison.size, budget)
    return described._replace(unchecked=unchecked)


def _describe(
    methods: Mapping[str, MethodConfig],
    folders: Mapping[str, Mapping[str, Path]],
    source: str,
    targets: tuple[str, ...],
    size: int,
    budget: str,
) -> Comparison:
    """`folders` are those of the test images, by data set and domain."""
    return Comparison(
        source=source,
        targets=list(targets),
        size=size,
        budget=budget,
        methods=[name for name in methods if name not in TABLE_II[1:]] or list(methods),
        ablations=[name for name in methods if name in TABLE_II],
        data=list(folders),
        without_ground_truth=[data for data, test in folders.items() if not has_pairs(test[source], test[targets[0]])],
        learn_from_pairs=[name for name, config in methods.items() if config.needs is Needs.PAIRED],
    )


def evaluate_runs(
    comparison: RunComparison,
    out: Path,
    environment: dict[str, str],
    on_status: Callable[[str, str], object],
    announce: Report,
    warn: Report,
) -> bool:
    """Evaluate all runs on the same images, and call `on_status` with a run's name and what is being done.

    `announce` is called with what will be measured, `warn` about what is left out or cannot be checked. Returns False
    if an evaluation failed. Raises `UserError` if the runs cannot be compared or `out` cannot hold the results, and
    `Interrupted`.
    """
    if (out / runner.PLAN).exists():
        raise UserError(f"{out}: holds a benchmark: choose another --out")
    require_output_folder(out, "--out")
    require_not_below(out, [*comparison.folders.values(), *_training_folders(comparison.runs)], "--out")
    require_files(comparison.inception, comparison.lpips)
    unchecked = require_comparable(comparison.runs, comparison.folders, comparison.root, warn)
    runner.require_known_results(out / comparison.data)
    _require_space(comparison, out)
    left_out: list[str] = []

    def on_left_out(message: str) -> None:
        left_out.append(message)
        warn(message)

    runner.announce_directions(comparison.directions, comparison.folders, announce, on_left_out)
    copies = out / comparison.data / runner.TEST
    # The copies of an earlier report may be of other data.
    replace = (out / report.FILE).exists()
    runner.copy_test_images(
        comparison.folders, copies, comparison.size, on_left_out, replace, comparison.runs[0].card.bits
    )
    report.save(out, describe_runs(comparison, unchecked)._replace(left_out=left_out))
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


def _training_folders(runs: Iterable[Run]) -> Iterator[Path]:
    """The folders of the training images, as far as they are still there."""
    for run in runs:
        with suppress(UserError):
            yield from dict(find_folders(run.experiment.data).train).values()


def _require_space(comparison: RunComparison, out: Path) -> None:
    """Each run saves its translations of each direction."""
    images = sum(len(list_images(direction.inputs)) for direction in comparison.directions) * len(comparison.runs)
    require_space(out, BYTES_PER_PIXEL * images * comparison.size**2, "saving the translations")


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
    if not saved.exists() or saved.read_bytes() != basis.encode():
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


def write(out: Path, warn: Report, study: Path | None = None) -> Path:
    """Write tables and page, with Table III and the results of a study if there are any. Returns the page's path.

    `warn` is called with a sentence about what the figures lack.
    """
    write_json_atomic(out / CAPACITY, {"domains": TABLE_III_DOMAINS, "methods": table_three()})
    if study:
        write_atomic(out / STUDY, lambda path: shutil.copyfile(study, path))
    return report.write(out, warn)
