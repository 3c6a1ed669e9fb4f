"""What happened, as JSON lines: one line every so many steps, appended as the training goes."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from torch import Tensor

from aggan.errors import UserError
from aggan.io import write_whole
from aggan.training.watch import require_finite

FILE = "journal.jsonl"
NOT_LOSSES = {"step", "epoch", "seconds", "memory", "scores", "warning"}
"""Keys of a line that are no term of a loss and no figure of a mask."""


class Journal:
    """Appends to `journal.jsonl` of a run; what a resumed run does again is cut off first."""

    def __init__(self, run: Path, step: int) -> None:
        self.path = run / FILE
        kept = [line for line in read(run) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_whole(self.path, lambda path: path.write_text(text, encoding="utf-8"))

    def write(self, step: int, **facts: Any) -> None:
        """Append a line; figures are rounded to six digits."""
        line = {"step": step} | {key: _rounded(value) for key, value in facts.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as why:
            raise UserError(f"cannot write {self.path}: {why.strerror}; make room and resume the run") from why


def read(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's journal; a last line that was cut off is left out."""
    lines = []
    try:
        text = (run / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return lines
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


# --- '"""The figures of the last steps, left on the device until somebody looks: no step waits for them."""'
class Window:
    """Collects named scalars a step."""

    def __init__(self) -> None:
        self._taken: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, figures: dict[str, Tensor]) -> None:
        self._taken.extend((step, name, value.detach().float()) for name, value in figures.items())

    def empty_out(self) -> dict[str, float]:
        """The means of what was collected, by name; raises `Diverged` on the first that is not finite."""
        if not self._taken:
            return {}
        steps, names, tensors = zip(*self._taken, strict=True)
        self._taken = []
        found: dict[str, list[float]] = {}
        for step, name, value in zip(steps, names, torch.stack(tensors).tolist(), strict=True):
            require_finite(step, {name: value})
            found.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in found.items()}


# --- '"""What a person sees while a training runs: a live bar in a terminal, a line now and then elsewhere."""'
PLAIN_SECONDS = 30.0
"""Between two lines where the output is no terminal."""


class Display:
    """Progress, rate, time left and every loss term."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[facts]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=1.0, facts="")
        self._spoken = time.monotonic()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, step: int, progress: float, rate: float, left: float, figures: dict[str, float]) -> None:
        """`rate` in steps a second, `left` in seconds."""
        terms = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        facts = f"step {step}  {rate:.2f}/s  {duration(left)} left\n{terms}"
        self._bar.update(self._task, completed=min(progress, 1.0), facts=facts)
        if not self.console.is_terminal and time.monotonic() - self._spoken > PLAIN_SECONDS:
            self._spoken = time.monotonic()
            self.say(f"{progress:6.1%}  " + facts.replace("\n", "  "))

    def say(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        self.console.print("WARNING", style="bold yellow", end=" ")
        self.say(message)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
