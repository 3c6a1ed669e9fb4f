"""The costs of methods: time and memory of their runs, and their parameters beside the paper's Table III."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aggan.comparison.figures import run_folder
from aggan.comparison.migrate import migrate_capacity
from aggan.comparison.rows import Row, read_results
from aggan.comparison.tables import EMPTY, Cell, Line, Table
from aggan.io import read_json
from aggan.training import log

COST_HEADINGS = ("steps", "minutes", "seconds per step", "peak memory, MB", "seconds per image")
CAPACITY_HEADINGS = ("px", "one model, M", "models", "Table III, M", "agreement")


def cost_table(out: Path, rows: Sequence[Row], to: str) -> Table:
    """Time and memory of each method's first seed."""
    lines = tuple(Line(row.name, _costs(out, row, to), link=str(row.folders[0])) for row in rows if row.folders)
    about = (
        "Of the first seed. Seconds per step are those of the training's clock; peak memory is the largest that its "
        "process held; seconds per image are those of a translation."
    )
    return Table("What it costs", about, COST_HEADINGS, lines)


def _costs(out: Path, row: Row, to: str) -> tuple[Cell, ...]:
    journal = log.read(run_folder(out, row, to))
    last = next((line for line in reversed(journal) if "seconds" in line), {"step": 0, "seconds": 0.0})
    memory = max((line["memory"] for line in journal if "memory" in line), default=0)
    results = read_results(out / row.folders[0] / to)
    steps, seconds, per_image = last["step"] or results["steps"], last["seconds"], results.get("seconds_per_image")
    return (
        Cell(f"{steps:,}"),
        Cell(f"{seconds / 60:.1f}") if seconds else EMPTY,
        Cell(f"{seconds / steps:.3f}") if seconds and steps else EMPTY,
        Cell(f"{memory:,.0f}") if memory else EMPTY,
        Cell(f"{per_image:.4f}") if per_image is not None else EMPTY,
    )


def capacity_table(path: Path) -> Table:
    """Table III, from a capacity.json."""
    content = migrate_capacity(read_json(path))
    lines = tuple(Line(entry["name"], _capacity(entry)) for entry in content["methods"])
    about = (
        f"Parameters of one model at full width, how many models m = {content['domains']} domains need, and what the "
        "paper printed."
    )
    return Table("Table III", about, CAPACITY_HEADINGS, lines)


def _capacity(entry: dict[str, Any]) -> tuple[Cell, ...]:
    return (
        Cell(str(entry["px"])),
        Cell(f"{entry['compared'] / 1e6:.2f}") if entry["compared"] else EMPTY,
        Cell(entry["models"]),
        Cell(str(entry["printed"])) if entry["printed"] else EMPTY,
        Cell(entry["agreement"], prose=True),
    )
