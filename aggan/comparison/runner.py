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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

from PIL import Image as Pillow
from pydantic import ValidationError

from aggan.comparison.migrate import IMAGES, migrate_failure, migrate_plan
from aggan.comparison.plan import Plan, Trial, list_trials
from aggan.data.folders import DataConfig, find, list_images
from aggan.data.index import CARD
from aggan.data.sample_faces import unpack
from aggan.errors import UserError
from aggan.images.decode import Unreadable, read, square
from aggan.io import write_atomic, write_json_atomic, write_text_atomic
from aggan.methods.registry import METHODS
from aggan.training.config import load_recipe
from aggan.training.experiment import FILE
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

    root: Path
    source: str
    to: str
    classifier: str | None = None
    inception: Path | None = None
    lpips: Path | None = None

    @property
    def inputs(self) -> Path:
        return self.root / "test" / self.source

    @property
    def real(self) -> Path:
        """Images of the target domain: ground truth if they have the names of the inputs."""
        return self.root / "test" / self.to

    @property
    def options(self) -> list[str]:
        """The options of `aggan evaluate` for the networks of the metrics."""
        options = {"--classifier": self.classifier, "--inception": self.inception, "--lpips": self.lpips}
        return [word for option, value in options.items() if value for word in (option, str(value))]

    @property
    def files(self) -> list[Path]:
        """Every file that the evaluation reads, except the model's."""
        classifier = Path(self.classifier) if self.classifier and Path(self.classifier).is_file() else None
        weights = (classifier, self.inception, self.lpips)
        return [*list_images(self.inputs), *list_images(self.real), *(file for file in weights if file)]


def training_command(plan: Plan, out: Path, trial: Trial) -> Command:
    """Train the method of a trial, or resume its training."""
    run = trial.folder(out) / "run"
    if (run / FILE).exists():
        return Command("training", ["train", "--resume", str(run)])
    argv = ["train", trial.method, "--recipe", plan.recipe, "--out", str(run)]
    argv += ["--data.root", str(training_root(plan, out, trial)), "--data.names", plan.source, *plan.targets]
    argv += ["--data.size", str(plan.size), "--training.seed", str(trial.seed)]
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
    names = [{file.relative_to(folder).with_suffix("") for file in list_images(folder)} for folder in (inputs, others)]
    return bool(names[0] & names[1])


def training_root(plan: Plan, out: Path, trial: Trial) -> Path:
    """The folder of a trial's training images."""
    data_set, paired = plan.data[trial.data], METHODS[trial.method].needs is Needs.PAIRED
    if data_set.root is None:
        return out / ("faces-pairs" if paired else "faces")
    return data_set.pairs if paired and data_set.pairs else data_set.root


# --- preparation ----------------------------------------------------------------------------------


def prepare(plan: Plan, out: Path) -> None:
    """Write plan.json, unpack the faces that ship and copy the test images.

    Raises `UserError` if data are missing, or if `out` holds the results of another plan.
    """
    if (out / PLAN).exists():
        _require_same_plan(plan, out)
    else:
        _require_data(plan, out)  # first, as the paths of a saved plan can no longer be corrected
    write_text_atomic(out / PLAN, plan.model_dump_json(indent=2) + "\n")
    if any(data_set.root is None for data_set in plan.data.values()):
        for name, pairs in (("faces", False), ("faces-pairs", True)):
            if not (out / name / CARD).exists():
                unpack(out / name, plan.size, pairs)
    for data, data_set in plan.data.items():
        copy_test_images(data_set.root or out / "faces", out / data / TEST, (plan.source, *plan.targets), plan.size)


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
        find(DataConfig(root=root, names=domains))
        for domain in domains:
            list_images(root / "test" / domain)


def require_files(*files: Path | None) -> None:
    """Raise `UserError` if one of the files does not exist."""
    for file in files:
        if file and not file.is_file():
            raise UserError(f"{file}: no such file")


def copy_test_images(root: Path, target: Path, domains: Iterable[str], size: int, replace: bool = False) -> None:
    """Copy the test images as squares of `size` px, for figures. Existing copies stay unless `replace`.

    Raises `UserError` if a domain has no test images.
    """
    for domain in domains:
        folder = root / "test" / domain
        keep = not replace or folder.resolve() == (target / domain).resolve()
        for file in list_images(folder):
            copy = target / domain / file.relative_to(folder).with_suffix(".png")
            if not (keep and copy.exists()):
                try:
                    image = Pillow.fromarray(square(read(file), size))
                except Unreadable:
                    continue  # the evaluation reports it
                write_atomic(copy, lambda path, image=image: image.save(path, "PNG"))


# --- execution ------------------------------------------------------------------------------------


def run_trials(
    plan: Plan, out: Path, trials: list[Trial], jobs: int, on_status: Callable[[Trial, str], object]
) -> None:
    """Run all trials without results, `jobs` at a time, and call `on_status` whenever the status of one changes.

    Raises `Interrupted`.
    """
    # Several trainings whose threads compete for the same cores run many times slower.
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ}
    stop = Event()

    def run_trial(trial: Trial) -> None:
        if stop.is_set():
            raise Interrupted
        folder = trial.folder(out)
        if trial_status(out, trial, plan.targets) == DONE:
            on_status(trial, DONE)
            return
        root, networks = training_root(plan, out, trial), (plan.classifier, plan.inception, plan.lpips)
        directions = [Direction(root, plan.source, to, *networks) for to in plan.targets]
        evaluations = [evaluation_command(folder / "run", folder, direction) for direction in directions]
        try:
            commands = [training_command(plan, out, trial), *evaluations]
            run_commands(commands, folder, environment, lambda status: on_status(trial, status))
        except Interrupted:
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
        return migrate_failure(json.loads((folder / FAILURE).read_text(encoding="utf-8")))["error"]
    return "started" if (folder / "run" / FILE).exists() else "to do"


def run_commands(commands: list[Command], folder: Path, environment: dict[str, str], on_status: Report) -> None:
    """Run the commands in order, except those whose output exists. The first error ends them and is saved.

    Raises `Interrupted`.
    """
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


def _run(argv: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """The exit code, and the reason: the last line of the output, or the signal that ended the command."""
    with (folder / COMMANDS).open("a", encoding="utf-8") as file:
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
