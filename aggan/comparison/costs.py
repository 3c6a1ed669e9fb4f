"""What systems cost: time and memory as their runs tell, and parameters beside the paper's Table III."""

import json
from pathlib import Path
from typing import Any

from aggan.comparison.figures import run_of
from aggan.comparison.rows import Row
from aggan.comparison.tables import Cell, Line, Table
from aggan.training import log

HEADINGS = ("steps", "minutes", "seconds a step", "peak memory, MB", "seconds a picture")
SIZES = ("px", "one model, M", "models", "Table III, M", "verdict")


def costs(out: Path, rows: list[Row], to: str) -> Table:
    """Of each system's first run."""
    lines = tuple(Line(row.name, _cost(out, row, to), link=str(row.folders[0])) for row in rows if row.folders)
    about = "Of the first seed. Seconds are of the training's own clock; memory is the most that its process ever held."
    return Table("What it costs", about, HEADINGS, lines)


def _cost(out: Path, row: Row, to: str) -> tuple[Cell, ...]:
    told = log.read(run_of(out, row, to))
    last = next((line for line in reversed(told) if "seconds" in line), {"step": 0, "seconds": 0.0})
    memory = max((line["memory"] for line in told if "memory" in line), default=0)
    results = json.loads((out / row.folders[0] / to / "results.json").read_text(encoding="utf-8"))
    steps, seconds = last["step"] or results["steps"], last["seconds"]
    return (
        Cell(f"{steps:,}"),
        Cell(f"{seconds / 60:.1f}" if seconds else "-"),
        Cell(f"{seconds / steps:.3f}" if seconds else "-"),
        Cell(f"{memory:,.0f}" if memory else "-"),
        Cell(f"{results['seconds a picture']:.4f}" if "seconds a picture" in results else "-"),
    )


def sizes(path: Path) -> Table:
    """Table III, from the counts that the comparison noted."""
    told = json.loads(path.read_text(encoding="utf-8"))
    lines = tuple(Line(entry["name"], _size(entry)) for entry in told["systems"])
    domains = told["domains"]
    about = f"Parameters of one model at full width, how many models m = {domains} domains need, and what was printed."
    return Table("Table III", about, SIZES, lines)


def _size(entry: dict[str, Any]) -> tuple[Cell, ...]:
    ours = f"{entry['compared'] / 1e6:.2f}" if entry["compared"] else "-"
    printed = f"{entry['printed']}" if entry["printed"] else "-"
    return Cell(str(entry["px"])), Cell(ours), Cell(entry["models"]), Cell(printed), Cell(entry["verdict"], words=True)
