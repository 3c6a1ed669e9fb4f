"""Work through the cells of a plan: each is a few commands, as anybody would type them.

OUT/plan.json                    what was asked for
OUT/faces/, OUT/faces-pairs/     the faces that ship, where a plan asks for them
OUT/DATA/test/DOMAIN/            the people that all systems are tested on, as the measures see them
OUT/DATA/SYSTEM/seed-N/          run/, log.txt, commands.txt, failure.json if it failed
OUT/DATA/SYSTEM/seed-N/TARGET/   results.json, pictures/
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from PIL import Image as Pillow
from pydantic import ValidationError

from aggan.benchmark.plan import Cell, Plan
from aggan.benchmark.steps import RESULTS, Command, require_data, root_of, test, training, ways
from aggan.data.faces.pack import unpack
from aggan.data.folders import pictures
from aggan.data.images import Unreadable, read, square
from aggan.data.index import CARD
from aggan.errors import UserError
from aggan.training.experiment import FILE
from aggan.writing import write_whole

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
