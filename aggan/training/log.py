"""What a training reports: `journal.jsonl` for programs, a live bar and messages for people. Imports no torch."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from aggan.errors import UserError
from aggan.io import write_text_atomic
from aggan.migrate import migrate_journal_line

FILE = "journal.jsonl"
PLAIN_SECONDS = 30.0
"""Between two lines if the output is not a terminal."""


class Journal:
    """Appends to `journal.jsonl` of a run; lines after the step of a resumed run are removed first."""

    def __init__(self, run: Path, step: int) -> None:
        self.path = run / FILE
        text = "".join(json.dumps(line) + "\n" for line in read(run) if line["step"] <= step)
        write_text_atomic(self.path, text)

    def write(self, step: int, **facts: Any) -> None:
        """Append a line; floats are rounded to six digits."""
        line = {"step": step} | {key: _rounded(value) for key, value in facts.items()}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}; make room and resume the run") from error


def read(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's journal, also of version 1; a truncated last line is left out.

    A line has `step` and one of: `epoch`, `seconds`, `memory` (MB), `losses` (name: value) and `masks` (name: mean and
    std); `scores` (name: value); `warning` (text).
    """
    lines = []
    try:
        text = (run / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return lines
    for line in text.splitlines():
        try:
            lines.append(migrate_journal_line(json.loads(line)))
        except json.JSONDecodeError:
            break
    return lines


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


class Display:
    """Progress, rate, time left, losses and masks."""

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
        self._last_line = time.monotonic()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, step: int, progress: float, rate: float, seconds_left: float, values: dict[str, float]) -> None:
        """Update the bar; `rate` is in steps per second."""
        named = "  ".join(f"{name} {value:.3g}" for name, value in values.items())
        facts = f"step {step}  {rate:.2f}/s  {duration(seconds_left)} left\n{named}"
        self._bar.update(self._task, completed=min(progress, 1.0), facts=facts)
        if not self.console.is_terminal and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self.print(f"{progress:6.1%}  " + facts.replace("\n", "  "))

    def print(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        self.console.print("WARNING", style="bold yellow", end=" ")
        self.print(message)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
