"""What happened, as JSON lines: one line every so many steps, appended as the training goes."""

import json
from pathlib import Path
from typing import Any

from aggan.errors import UserError
from aggan.writing import write_whole

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
