"""Work through the cells of a plan: each is three commands, as anybody would type them.

OUT/plan.json                         what was asked for
OUT/faces/, OUT/faces-pairs/          the faces that ship, where a plan asks for them
OUT/DATA/people/                      inputs/ and answers/ of the people on show
OUT/DATA/SYSTEM/seed-N/               run/, people/, log.txt, commands.txt; results.json, or failure.json
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image as Pillow

from aggan.benchmark.plan import Cell, Plan
from aggan.data.faces.pack import unpack
from aggan.data.folders import pictures
from aggan.data.index import CARD
from aggan.errors import UserError
from aggan.systems.catalogue import CATALOGUE
from aggan.training.experiment import FILE
from aggan.writing import write_whole

PLAN, RESULTS, FAILURE, LOG, COMMANDS = "plan.json", "results.json", "failure.json", "log.txt", "commands.txt"
INTERRUPTED, SHOWN = 130, 8
Tell = Callable[[Cell, str], None]


class Stopped(Exception):
    """Somebody interrupted the work; what is finished stays, and the same command goes on."""


def begin(plan: Plan, out: Path) -> None:
    """Note the plan and unpack what it needs; raises `UserError` where another plan was begun."""
    text = plan.model_dump_json(indent=2) + "\n"
    if (out / PLAN).exists() and Plan.model_validate_json((out / PLAN).read_text(encoding="utf-8")) != plan:
        raise UserError(f"{out}: holds results of another plan: choose another --out")
    write_whole(out / PLAN, lambda path: path.write_text(text, encoding="utf-8"))
    if any(source.root is None for source in plan.data.values()):
        for name, pairs in (("faces", False), ("faces-pairs", True)):
            if not (out / name / CARD).exists():
                unpack(out / name, plan.size, pairs)
    for data, source in plan.data.items():
        test = (source.root or out / "faces") / "test"
        for part, domain in (("inputs", plan.source), ("answers", plan.target)):
            _show(test / domain, out / data / "people" / part)


def _show(domain: Path, target: Path) -> None:
    """Copy some pictures from all over a test domain; raises `UserError` where there is none."""
    files = pictures(domain)
    target.mkdir(parents=True, exist_ok=True)
    count = min(SHOWN, len(files))
    for file in (files[place * len(files) // count] for place in range(count)):
        with Pillow.open(file) as picture:
            picture.convert("RGB").save(target / f"{file.stem}.png")


def work(plan: Plan, out: Path, chosen: list[Cell], jobs: int, tell: Tell) -> None:
    """Do all chosen cells that have no results yet; `tell` hears what becomes of each. Raises `Stopped`."""
    # Threads of several trainings that fight for the same cores run many times slower.
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ}
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = [pool.submit(_cell, plan, out, cell, tell, environment) for cell in chosen]
        try:
            for outcome in outcomes:
                outcome.result()
        except (Stopped, KeyboardInterrupt):
            pool.shutdown(wait=True, cancel_futures=True)
            raise Stopped from None


def state(out: Path, cell: Cell) -> str:
    """What has become of a cell."""
    folder = cell.folder(out)
    if (folder / RESULTS).exists():
        return "done"
    if (folder / FAILURE).exists():
        return json.loads((folder / FAILURE).read_text(encoding="utf-8"))["why"]
    return "begun" if (folder / "run" / FILE).exists() else "to do"


def _cell(plan: Plan, out: Path, cell: Cell, tell: Tell, environment: dict[str, str]) -> None:
    folder = cell.folder(out)
    if (folder / RESULTS).exists():
        return tell(cell, "done")
    (folder / FAILURE).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for doing, command in zip(("training", "translating", "measuring"), commands(plan, out, cell), strict=True):
        tell(cell, doing)
        code, last = _run(command, folder, environment)
        if code == INTERRUPTED or code < 0:
            raise Stopped
        if code:
            text = json.dumps({"why": last, "command": shlex.join(command)}, indent=2) + "\n"
            write_whole(folder / FAILURE, lambda path, text=text: path.write_text(text, encoding="utf-8"))
            return tell(cell, last)
    return tell(cell, "done")


def commands(plan: Plan, out: Path, cell: Cell) -> tuple[list[str], ...]:
    """What a cell is made by: training (or going on with it), translating the people on show, measuring."""
    folder, root = cell.folder(out), root_of(plan, out, cell)
    budget = ["--training.minutes", str(plan.minutes)] if plan.minutes else ["--training.epochs", str(plan.epochs)]
    train = ["train", cell.system, "--recipe", plan.recipe, "--out", str(folder / "run"), "--data.root", str(root)]
    train += ["--data.names", plan.source, plan.target, "--data.size", str(plan.size)]
    train += ["--training.seed", str(cell.seed), *budget]
    train += ["--training.threads", str(plan.threads)] if plan.threads else []
    train += ["--training.processor-time"] if plan.processor_time else []
    if (folder / "run" / FILE).exists():
        train = ["train", "--resume", str(folder / "run")]
    inputs, answers = (str(root / "test" / domain) for domain in (plan.source, plan.target))
    measure = ["evaluate", str(folder / "run"), "--inputs", inputs, "--answers", answers, "--to", plan.target]
    shown = sorted(str(path) for path in (out / cell.data / "people" / "inputs").iterdir())
    show = ["translate", str(folder / "run"), *shown, "--to", plan.target, "--out", str(folder / "people")]
    return (
        train,
        [*show, "--source", plan.source],
        [*measure, "--source", plan.source, "--out", str(folder / RESULTS)],
    )


def root_of(plan: Plan, out: Path, cell: Cell) -> Path:
    """The folder that a cell learns from."""
    source, paired = plan.data[cell.data], CATALOGUE[cell.system].about.needs == "pairs"
    if source.root is None:
        return out / ("faces-pairs" if paired else "faces")
    return source.pairs if paired and source.pairs else source.root


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Its exit code and the last line that it said."""
    with (folder / COMMANDS).open("a", encoding="utf-8") as file:
        file.write(f"aggan {shlex.join(command)}\n")
    with (folder / LOG).open("ab") as log:
        whole = [sys.executable, "-m", "aggan", *command]
        done = subprocess.run(whole, stdout=log, stderr=log, env=environment, check=False)
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return done.returncode, next((line.strip() for line in reversed(lines) if line.strip()), "")
