"""The commands of a cell."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

from PIL import Image as Pillow
from pydantic import ValidationError

from aggan.comparison.plan import Cell, Plan, cells
from aggan.data.folders import Data, find, pictures
from aggan.data.index import CARD
from aggan.data.sample_faces import unpack
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square
from aggan.io import write_whole
from aggan.methods.registry import CATALOGUE
from aggan.training.config import named
from aggan.training.experiment import FILE

RESULTS, PICTURES = "results.json", "pictures"


class Command(NamedTuple):
    """What is typed after `aggan`."""

    doing: str
    words: list[str]
    made: Path | None = None
    """The file that is there once it has been done."""


def training(plan: Plan, out: Path, cell: Cell) -> Command:
    """Train, or go on with it."""
    run = cell.folder(out) / "run"
    if (run / FILE).exists():
        return Command("training", ["train", "--resume", str(run)])
    words = ["train", cell.system, "--recipe", plan.recipe, "--out", str(run)]
    words += ["--data.root", str(root_of(plan, out, cell)), "--data.names", plan.source, *plan.targets]
    words += ["--data.size", str(plan.size), "--training.seed", str(cell.seed)]
    words += ["--training.threads", str(plan.threads)] if plan.threads else []
    words += ["--training.processor-time"] if plan.processor_time else []
    words += ["--training.minutes", str(plan.minutes)] if plan.minutes else ["--training.epochs", str(plan.epochs)]
    return Command("training", words)


class Way(NamedTuple):
    """What is tested: the pictures below a root, from one domain to another."""

    root: Path
    source: str
    to: str
    weights: tuple[str, ...] = ()
    """Further words for `evaluate`, each option before its file."""

    @property
    def inputs(self) -> Path:
        return self.root / "test" / self.source

    @property
    def others(self) -> Path:
        """Pictures of the target: true answers, or others."""
        return self.root / "test" / self.to

    @property
    def files(self) -> list[Path]:
        """All that is read, besides the model."""
        return [*pictures(self.inputs), *pictures(self.others), *map(Path, self.weights[1::2])]


def ways(root: Path, source: str, targets: tuple[str, ...], inception: Path | None, lpips: Path | None) -> list[Way]:
    """One for each target."""
    given = (("--inception", inception), ("--lpips", lpips))
    weights = tuple(word for option, path in given if path for word in (option, str(path)))
    return [Way(root, source, to, weights) for to in targets]


def require_data(plan: Plan, out: Path) -> None:
    """Raises `UserError` where what the cells will read is not there; the faces that ship always are."""
    named(plan.recipe)
    require_weights(plan.inception, plan.lpips)
    domains = plan.source, *plan.targets
    for root in {root_of(plan, out, cell) for cell in cells(plan) if plan.data[cell.data].root}:
        find(Data(root=root, names=domains))
        for domain in domains:
            pictures(root / "test" / domain)


def require_weights(*files: Path | None) -> None:
    """Raises `UserError` where one that is named is not there."""
    for file in files:
        if file and not file.is_file():
            raise UserError(f"{file}: no such file")


def test(run: Path, folder: Path, way: Way) -> Command:
    """Translate pictures that the run has never seen, and measure; where there are no pairs, against others."""
    kept, made = folder / way.to / PICTURES, folder / way.to / RESULTS
    against = "--answers" if paired(way.inputs, way.others) else "--real"
    words = ["evaluate", str(run), "--inputs", str(way.inputs), against, str(way.others)]
    words += ["--to", way.to, "--source", way.source, *way.weights, "--pictures", str(kept), "--out", str(made)]
    return Command(f"measuring {way.to}", words, made)


def paired(inputs: Path, others: Path) -> bool:
    """Whether files of one name answer each other."""
    names = [{file.relative_to(folder).with_suffix("") for file in pictures(folder)} for folder in (inputs, others)]
    return bool(names[0] & names[1])


def root_of(plan: Plan, out: Path, cell: Cell) -> Path:
    """The folder that a cell learns from."""
    source, by_pairs = plan.data[cell.data], CATALOGUE[cell.system].about.needs == "pairs"
    if source.root is None:
        return out / ("faces-pairs" if by_pairs else "faces")
    return source.pairs if by_pairs and source.pairs else source.root


# --- '"""Work through the cells of a plan: each is a few commands, as anybody would type them.\n\nOUT/plan.json                    what was asked for\nOUT/faces/, OUT/faces-pairs/     the faces that ship, wher'
PLAN, FAILURE, LOG, COMMANDS, TEST = "plan.json", "failure.json", "log.txt", "commands.txt", "test"
STOPS = (130, -1, -2, -15)
"""Exit codes of a command that somebody ended: it was interrupted, or got SIGHUP, SIGINT or SIGTERM."""
KILLED = -9
Tell = Callable[[Cell, str], None]


class Stopped(Exception):
    """Somebody interrupted the work; what is finished stays, and the same command goes on."""


def begin(plan: Plan, out: Path) -> None:
    """Note the plan and unpack what it needs; raises `UserError` where data are missing or another plan was begun."""
    if (out / PLAN).exists():
        _require_same(plan, out)
    else:
        require_data(plan, out)  # once a plan is noted, its paths can no longer be corrected
    text = plan.model_dump_json(indent=2) + "\n"
    write_whole(out / PLAN, lambda path: path.write_text(text, encoding="utf-8"))
    if any(source.root is None for source in plan.data.values()):
        for name, pairs in (("faces", False), ("faces-pairs", True)):
            if not (out / name / CARD).exists():
                unpack(out / name, plan.size, pairs)
    for data, source in plan.data.items():
        show(source.root or out / "faces", out / data / TEST, (plan.source, *plan.targets), plan.size)


def _require_same(plan: Plan, out: Path) -> None:
    try:
        noted = Plan.model_validate_json((out / PLAN).read_bytes())
    except ValidationError as why:
        raise UserError(f"{out / PLAN}: damaged, or of another version of aggan: choose another --out") from why
    if noted != plan:
        raise UserError(f"{out}: holds results of another plan: choose another --out")


def show(root: Path, target: Path, domains: tuple[str, ...], size: int, again: bool = False) -> None:
    """Copy the test pictures as the measures see them, `again` over copies that are there.

    Raises `UserError` where there are none.
    """
    for domain in domains:
        folder = root / "test" / domain
        keep = not again or folder.resolve() == (target / domain).resolve()
        for file in pictures(folder):
            copy = target / domain / file.relative_to(folder).with_suffix(".png")
            if not (keep and copy.exists()):
                try:
                    picture = Pillow.fromarray(square(read(file), size))
                except Unreadable:
                    continue  # the measures name what they leave out
                write_whole(copy, lambda path, of=picture: of.save(path, "PNG"))


def work(plan: Plan, out: Path, chosen: list[Cell], jobs: int, tell: Tell) -> None:
    """Do all chosen cells that have no results yet; `tell` hears what becomes of each. Raises `Stopped`."""
    # Threads of several trainings that fight for the same cores run many times slower.
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ}
    stopping = Event()

    def do(cell: Cell) -> None:
        if stopping.is_set():
            raise Stopped
        folder, run = cell.folder(out), cell.folder(out) / "run"
        asked = ways(root_of(plan, out, cell), plan.source, plan.targets, plan.inception, plan.lpips)
        tested = [test(run, folder, way) for way in asked]
        if state(out, cell, plan.targets) == "done":
            return tell(cell, "done")
        try:
            carry_out([training(plan, out, cell), *tested], folder, environment, lambda what: tell(cell, what))
        except Stopped:
            stopping.set()  # at once, or the other threads begin with the next cells
            raise
        return None

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = [pool.submit(do, cell) for cell in chosen]
        try:
            for outcome in outcomes:
                outcome.result()
        except (Stopped, KeyboardInterrupt):
            pool.shutdown(wait=True, cancel_futures=True)
            raise Stopped from None


def state(out: Path, cell: Cell, targets: tuple[str, ...]) -> str:
    """What has become of a cell."""
    folder = cell.folder(out)
    if all((folder / to / RESULTS).exists() for to in targets):
        return "done"
    if (folder / FAILURE).exists():
        return json.loads((folder / FAILURE).read_text(encoding="utf-8"))["why"]
    return "begun" if (folder / "run" / FILE).exists() else "to do"


def carry_out(commands: list[Command], folder: Path, environment: dict[str, str], tell: Callable[[str], None]) -> None:
    """Do one after the other what is not done yet; a failure is noted in the folder. Raises `Stopped`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    for command in commands:
        if command.made and command.made.exists():
            continue
        tell(command.doing)
        code, why = _run(command.words, folder, environment)
        if code in STOPS:
            raise Stopped
        if code:
            text = json.dumps({"why": why, "command": shlex.join(command.words)}, indent=2) + "\n"
            write_whole(folder / FAILURE, lambda path, text=text: path.write_text(text, encoding="utf-8"))
            return tell(why)
    return tell("done")


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Its exit code and why it ended: the last line that it said, or the signal that killed it."""
    with (folder / COMMANDS).open("a", encoding="utf-8") as file:
        file.write(f"aggan {shlex.join(words)}\n")
    with (folder / LOG).open("ab") as log:
        whole = [sys.executable, "-m", "aggan", *words]
        done = subprocess.run(whole, stdout=log, stderr=log, env=environment, check=False)
    if done.returncode < 0:
        hint = " (perhaps no memory was left)" if done.returncode == KILLED else ""
        return done.returncode, f"was killed by signal {-done.returncode}{hint}"
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return done.returncode, next((line.strip() for line in reversed(lines) if line.strip()), "")
