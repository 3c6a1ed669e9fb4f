"""What a training reports: `journal.jsonl` for programs, a live bar and messages for people. Imports no torch."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from aggan.errors import UserError
from aggan.io import write_text_atomic
from aggan.migrate import migrate_journal_line

FILE = "journal.jsonl"
BAR = 8
"""Width of the bar, in characters."""
PLAIN_SECONDS, COUNT_SECONDS = 30.0, 10.0
"""Between two lines of a training, and of other work, if the output is not a terminal."""


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

    A line has `step` and one of: `epoch`, `seconds`, `memory` (MB), `losses` (name: value), `masks` (name: mean and
    std) and `augment` (discriminator: probability, if it adapts); `scores` (name: value); `warning` (text, also the
    news that a mask has recovered).
    """
    lines = []
    try:
        text = (run / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return lines
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(content, dict):
            break
        lines.append(migrate_journal_line(content))
    return lines


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


class Display:
    """A live line with step, rate, time left, masks and losses, and messages above it.

    If nobody reads the output any more (a closed pipe, a full disk), `closed` becomes true and nothing else happens.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.closed = False
        self._values: tuple[str, ...] = ()
        self._bar = Progress(*_columns(), console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=1.0)
        self._last_line = time.monotonic()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, step: int, progress: float, rate: float, seconds_left: float) -> None:
        """Update the line; `rate` is in steps per second."""
        facts = f"{progress:6.1%}  step {step}  {rate:.2f}/s  {duration(seconds_left)} left"
        if self.console.is_terminal:
            width = self.console.width - BAR - 1
            self._bar.update(self._task, completed=min(progress, 1.0), description=fit((facts, *self._values), width))
        elif self._values and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self.print("  ".join((facts, *self._values)))

    def set_values(self, losses: dict[str, float], masks: dict[str, float]) -> None:
        """Set what the line shows after the time: the means of the masks, then the losses."""
        self._values = tuple(f"{name} {value:.3g}" for name, value in (masks | losses).items())

    def print(self, message: str) -> None:
        self._print(message, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show how far some work is: call the function with how many things are done, and how many there are."""
        quiet = not self.console.is_terminal
        with Progress(*_columns(), console=self.console, transient=True, disable=quiet) as bar:
            task, last = bar.add_task(what, visible=False), time.monotonic()

            def count(done: int, total: int) -> None:
                nonlocal last
                message = f"{what}: {done:,} of {total:,}"
                bar.update(task, completed=done, total=total, description=message, visible=True)
                if quiet and time.monotonic() - last > COUNT_SECONDS:
                    last = time.monotonic()
                    self.print(message)

            yield count

    def print_block(self, lines: Iterable[str], indent: int) -> None:
        """Print lines, wrapped in a terminal: a line that continues another is indented."""
        for line in lines:
            width = self.console.width if self.console.is_terminal else len(line) + 1
            for part in wrap(
                line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
            ):
                self.print(part)

    def warn(self, message: str) -> None:
        self._print("WARNING", style="bold yellow", end=" ")
        self.print(message)

    def _print(self, message: str, **how: Any) -> None:
        if self.closed:
            return
        try:
            self.console.print(message, **how)
        except (OSError, SystemExit):  # rich exits when a pipe is closed
            self.closed = True


def _columns() -> tuple[BarColumn, TextColumn]:
    return BarColumn(bar_width=BAR), TextColumn("{task.description}", markup=False)


def fit(parts: Iterable[str], width: int) -> str:
    """The first of the parts that fit into a line of `width` characters; always the first one."""
    line, *rest = parts
    for part in rest:
        if len(line) + 2 + len(part) > width:
            break
        line += f"  {part}"
    return line


def duration(seconds: float) -> str:
    """Hours, minutes and seconds as `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
