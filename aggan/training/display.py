"""What a person sees while a training runs: a live bar in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

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
