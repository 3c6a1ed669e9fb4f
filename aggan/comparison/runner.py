"""Runs the trials of a plan. Each is a few commands of `aggan`, as a user would type them.

OUT/plan.json                    the plan
OUT/faces/, OUT/faces-pairs/     the faces that ship, if a data set uses them
OUT/DATA/test/DOMAIN/            the test images at the size of the plan
OUT/DATA/METHOD/seed-N/          a trial: run/, log.txt, commands.txt, and failure.json if a command failed
OUT/DATA/METHOD/seed-N/TARGET/   results.json and images/
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

from PIL import Image as Pillow
from pydantic import ValidationError

from aggan.comparison.migrate import IMAGES, migrate_failure, migrate_plan
from aggan.comparison.plan import Plan, Trial, list_trials
from aggan.comparison.rows import read_results
from aggan.data.folders import DataConfig, find, list_images, require_outside
from aggan.data.index import CARD
from aggan.data.listing import report_os_errors
from aggan.data.sample_faces import unpack
from aggan.errors import UserError
from aggan.evaluation.capacity import count_parameters
from aggan.evaluation.test_set import files_by_name, find_test_folders
from aggan.images.decode import Unreadable, read, square
from aggan.io import (
    read_json,
    require_not_below,
    require_output_folder,
    require_space,
    write_atomic,
    write_json_atomic,
    write_text_atomic,
)
from aggan.methods.registry import METHODS
from aggan.ops.cpu_features import available_cores
from aggan.training.config import load_recipe
from aggan.training.experiment import FILE, Experiment
from aggan.types import Needs

PLAN, RESULTS, FAILURE, LOG, COMMANDS, TEST = (
    "plan.json",
    "results.json",
    "failure.json",
    "log.txt",
    "commands.txt",
    "test",
)
INTERRUPTS = (130, -1, -2, -15)
"""Exit codes of an interrupted command: 130, or ended by SIGHUP, SIGINT or SIGTERM."""
SIGKILL = -9
DONE = "done"

Report = Callable[[str], object]
"""Called with what is being done, or with what went wrong."""


class Interrupted(Exception):
    """The user ended the work. Everything finished is saved, and the same command continues."""


# --- commands -------------------------------------------------------------------------------------


class Command(NamedTuple):
    """A command line of `aggan`."""

    title: str
    argv: list[str]
    output: Path | None = None
    """A file that exists once the command has finished; None if the command itself knows whether it has."""


class Direction(NamedTuple):
    """What is evaluated: the test images of one domain, translated to another."""

    inputs: Path
    real: Path
    """Images of the target domain: ground truth if they have the names of the inputs."""
    source: str
    to: str
    classifier: str | None = None
    inception: Path | None = None
    lpips: Path | None = None

    @property
    def options(self) -> list[str]:
        """The options of `aggan evaluate` for the networks of the metrics."""
        options = {"--classifier": self.classifier, "--inception": self.inception, "--lpips": self.lpips}
        return [word for option, value in options.items() if value for word in (option, str(value))]

    def describe(self) -> str:
        """What will be measured, in one line."""
        inputs, real = (files_by_name(folder, _ignore).keys() for folder in (self.inputs, self.real))
        line = f"{self.source} to {self.to}: images of {self.inputs} ({len(inputs)})"
        if inputs <= real:
            return f"{line}, ground truth of each in {self.real}"
        if inputs & real:
            return f"{line}, of which those with ground truth in {self.real} are measured ({len(inputs & real)})"
        return f"{line}, no ground truth, as no image of {self.real} has the name of one of these"

    @property
    def files(self) -> list[Path]:
        """Every file that the evaluation reads, except the model's."""
        classifier = Path(self.classifier) if self.classifier else None
        networks = [path for path in (classifier, self.inception, self.lpips) if path]
        # A classifier of one's own is a folder; a name of a classifier that ships is no path.
        weights = [file for path in networks for file in (path, *sorted(path.glob("*"))) if file.is_file()]
        return [*list_images(self.inputs), *list_images(self.real), *weights]


def training_command(plan: Plan, out: Path, trial: Trial) -> Command:
    """Train the method of a trial, or resume its training."""
    run = trial.folder(out) / "run"
    if (run / FILE).exists():
        return Command("training", ["train", "--resume", str(run)])
    argv = ["train", trial.method, "--recipe", plan.recipe, "--out", str(run)]
    argv += ["--data.root", str(training_root(plan, out, trial)), "--data.names", plan.source, *plan.targets]
    argv += ["--data.size", str(plan.size), "--training.seed", str(trial.seed)]
    argv += ["--data.bits", str(plan.bits)] if plan.bits else []
    argv += ["--training.threads", str(plan.threads)] if plan.threads else []
    argv += ["--training.processor-time"] if plan.processor_time else []
    argv += ["--training.minutes", str(plan.minutes)] if plan.minutes else ["--training.epochs", str(plan.epochs)]
    return Command("training", argv)


def evaluation_command(run: Path, folder: Path, direction: Direction) -> Command:
    """Evaluate a run; without pairs, the images of the target domain only serve for the distances between sets."""
    images, results = folder / direction.to / IMAGES, folder / direction.to / RESULTS
    option = "--ground-truth" if has_pairs(direction.inputs, direction.real) else "--real"
    argv = ["evaluate", str(run), "--inputs", str(direction.inputs), option, str(direction.real)]
    argv += ["--to", direction.to, "--source", direction.source, *direction.options]
    argv += ["--save-images", str(images), "--out", str(results)]
    return Command(f"evaluating {direction.to}", argv, results)


def has_pairs(inputs: Path, others: Path) -> bool:
    """Whether an image of one folder has the name of one in the other."""
    first, second = (files_by_name(folder, _ignore).keys() for folder in (inputs, others))
    return bool(first & second)


def _ignore(message: str) -> None:
    """`announce_directions` has named what is left out."""


def announce_directions(
    directions: Sequence[Direction], folders: Mapping[str, Path], announce: Report, warn: Report
) -> None:
    """Say before the work begins what will be measured, and which files of the folders are left out."""
    for folder in folders.values():
        files_by_name(folder, warn)
    for direction in directions:
        announce(direction.describe())


def training_root(plan: Plan, out: Path, trial: Trial) -> Path:
    """The folder of a trial's training images."""
    data_set, paired = plan.data[trial.data], METHODS[trial.method].needs is Needs.PAIRED
    if data_set.root is None:
        return out / ("faces-pairs" if paired else "faces")
    return data_set.pairs if paired and data_set.pairs else data_set.root


# --- preparation ----------------------------------------------------------------------------------


def prepare(plan: Plan, out: Path, announce: Report, warn: Report) -> None:
    """Write plan.json, unpack the faces that ship and copy the test images.

    `announce` is called with what will be trained and measured, `warn` about files that are left out. Raises
    `UserError` if data are missing, if `out` holds the results of another plan, or if `out` cannot hold the results.
    """
    require_output_folder(out, "--out")
    if (out / PLAN).exists():
        _require_same_plan(plan, out)
    else:
        _require_data(plan, out)  # first, as the paths of a saved plan can no longer be corrected
    for data in plan.data:
        require_known_results(out / data)
    write_text_atomic(out / PLAN, plan.model_dump_json(indent=2) + "\n")
    if any(data_set.root is None for data_set in plan.data.values()):
        for name, pairs in (("faces", False), ("faces-pairs", True)):
            if not (out / name / CARD).exists():
                unpack(out / name, plan.size, pairs)
    for data, data_set in plan.data.items():
        folders = find_test_folders(data_set.root or out / "faces", (plan.source, *plan.targets))
        announce_directions(_directions(plan, folders), folders, announce, warn)
        copy_test_images(folders, out / data / TEST, plan.size, warn, bits=plan.bits)


def _directions(plan: Plan, folders: Mapping[str, Path]) -> list[Direction]:
    """What is evaluated on one data set, whose test images lie in these folders."""
    inputs, networks = folders[plan.source], (plan.classifier, plan.inception, plan.lpips)
    return [Direction(inputs, folders[to], plan.source, to, *networks) for to in plan.targets]


def _require_same_plan(plan: Plan, out: Path) -> None:
    try:
        saved = Plan.model_validate(migrate_plan(json.loads((out / PLAN).read_bytes())))
    except (ValidationError, ValueError, AttributeError) as error:
        raise UserError(f"{out / PLAN}: damaged, or of another version of aggan: choose another --out") from error
    if saved != plan:
        raise UserError(f"{out}: holds results of another plan: choose another --out")


def _require_data(plan: Plan, out: Path) -> None:
    """The faces that ship are always there."""
    load_recipe(plan.recipe)
    require_files(plan.inception, plan.lpips)
    domains = plan.source, *plan.targets
    for root in {training_root(plan, out, trial) for trial in list_trials(plan) if plan.data[trial.data].root}:
        training = find(DataConfig(root=root, names=domains)).train
        test = find_test_folders(root, domains)
        require_not_below(out, [*(domain.folder for domain in training), *test.values()], "--out")
        require_outside(DataConfig(root=root, names=domains), out / "run")
        for folder in test.values():
            list_images(folder)


def require_space_for(plan: Plan, out: Path, trials: Sequence[Trial]) -> None:
    """Raise `UserError` if the runs of the trials that are not done do not fit on the disk."""
    pending = [trial for trial in trials if trial_status(out, trial, plan.targets) != DONE]
    require_space(out, sum(_run_size(plan, trial) for trial in pending), "training the methods")


def _run_size(plan: Plan, trial: Trial) -> int:
    """Bytes of a run, about: the weights and two moments of each in its checkpoint, and the weights in `last/`.

    0 if the method cannot be built.
    """
    try:
        networks = count_parameters(Experiment.of(trial.method, plan.recipe).method, plan.size, len(plan.targets) + 1)
    except UserError:
        return 0  # the training reports it
    return 4 * 4 * sum(networks.values())


def require_known_results(folder: Path) -> None:
    """Raise `UserError` if results below the folder of a data set are damaged, or of a newer version."""
    for file in folder.glob(f"*/seed-*/*/{RESULTS}"):
        try:
            read_results(file.parent)
        except UserError as error:
            raise UserError(f"{error}; or choose another --out") from error


def require_files(*files: Path | None) -> None:
    """Raise `UserError` if one of the files does not exist."""
    for file in files:
        if file and not file.is_file():
            raise UserError(f"{file}: no such file")


def copy_test_images(
    folders: Mapping[str, Path],
    target: Path,
    size: int,
    warn: Report,
    replace: bool = False,
    bits: int | None = None,
) -> None:
    """Copy the test images as squares of `size` px to `target`/DOMAIN, for figures. `warn` names unreadable ones.

    Existing copies stay unless `replace`, and nothing is written to a folder of test images. Raises `UserError` if a
    domain has no test images.
    """
    for domain, folder in folders.items():
        if folder.resolve() == (target / domain).resolve():
            continue
        for name, file in files_by_name(folder, _ignore).items():
            copy = target / domain / f"{name}.png"
            if replace or not copy.exists():
                try:
                    image = Pillow.fromarray(square(read(file, bits), size))
                except Unreadable as error:
                    warn(f"left out {error}")
                    continue
                write_atomic(copy, lambda path, image=image: image.save(path, "PNG"))


# --- execution ------------------------------------------------------------------------------------


def run_trials(
    plan: Plan, out: Path, trials: list[Trial], jobs: int, on_status: Callable[[Trial, str], object]
) -> None:
    """Run all trials without results, `jobs` at a time, and call `on_status` whenever the status of one changes.

    Raises `Interrupted`.
    """
    # Several trainings whose threads compete for the same cores run many times slower.
    environment = {"OMP_NUM_THREADS": str(max(1, available_cores() // jobs)), **os.environ}
    stop = Event()

    def run_trial(trial: Trial) -> None:
        if stop.is_set():
            raise Interrupted
        folder = trial.folder(out)
        if trial_status(out, trial, plan.targets) == DONE:
            on_status(trial, DONE)
            return
        folders = find_test_folders(training_root(plan, out, trial), (plan.source, *plan.targets))
        directions = _directions(plan, folders)
        evaluations = [evaluation_command(folder / "run", folder, direction) for direction in directions]
        try:
            commands = [training_command(plan, out, trial), *evaluations]
            run_commands(commands, folder, environment, lambda status: on_status(trial, status))
        except BaseException:
            stop.set()  # at once: the other threads would start the next trials
            raise

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_trial, trial) for trial in trials]
        try:
            for future in futures:
                future.result()
        except (Interrupted, KeyboardInterrupt):
            pool.shutdown(wait=True, cancel_futures=True)
            raise Interrupted from None


def trial_status(out: Path, trial: Trial, targets: tuple[str, ...]) -> str:
    """`done`, `started`, `to do`, or the error that ended the trial."""
    folder = trial.folder(out)
    if all((folder / to / RESULTS).exists() for to in targets):
        return DONE
    if (folder / FAILURE).exists():
        return migrate_failure(read_json(folder / FAILURE))["error"]
    return "started" if (folder / "run" / FILE).exists() else "to do"


def run_commands(commands: list[Command], folder: Path, environment: dict[str, str], on_status: Report) -> None:
    """Run the commands in order, except those whose output exists. The first error ends them and is saved.

    Raises `Interrupted`.
    """
    with report_os_errors():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FAILURE).unlink(missing_ok=True)
    for command in commands:
        if command.output and command.output.exists():
            continue
        on_status(command.title)
        code, error = _run(command.argv, folder, environment)
        if code in INTERRUPTS:
            raise Interrupted
        if code:
            write_json_atomic(folder / FAILURE, {"error": error, "command": shlex.join(command.argv)})
            on_status(error)
            return
    on_status(DONE)


@report_os_errors()
def _run(argv: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """The exit code, and the reason: the last line of the output, or the signal that ended the command."""
    with (folder / COMMANDS).open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"aggan {shlex.join(argv)}\n")
    with (folder / LOG).open("ab") as log:
        process = subprocess.run(
            [sys.executable, "-m", "aggan", *argv], stdout=log, stderr=log, env=environment, check=False
        )
    if process.returncode < 0:
        hint = " (perhaps no memory was left)" if process.returncode == SIGKILL else ""
        return process.returncode, f"was killed by signal {-process.returncode}{hint}"
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return process.returncode, next((line.strip() for line in reversed(lines) if line.strip()), "")
