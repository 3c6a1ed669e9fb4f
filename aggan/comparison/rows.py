"""What the cells of a comparison came to: a row for each system, a figure for each measure."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from aggan.comparison.tables import Cell, Line, Table
from aggan.errors import UserError

FIXED = ("copy the input", "true answer")
"""Rows that no system made; nothing of them is ever best."""

TRANSLATES = 0.5
"""Of whose pictures fewer are judged to show the target, that system hardly translates: it is never best either."""
BOLD = (
    "Bold: the best of a column, and what its 95 % interval cannot tell from it, among the systems that translate; "
    "those that learn from pairs compete among themselves."
)
STUDY = "study.json"
"""What a people study found, where one lies beside the cells."""


class Measure(NamedTuple):
    """How a figure is shown; `sign` is 1 where more is better, -1 where less is."""

    heading: str
    sign: int
    form: str
    unit: float = 1.0


MEASURES = {
    "fooled": Measure("people fooled, %", 1, "{:.1f}", 100),
    "judged": Measure("judged {to}, %", 1, "{:.1f}", 100),
    "change where still": Measure("change where still, of 255", -1, "{:.2f}"),
    "kernel distance": Measure("kernel distance ({features})", -1, "{:.3f}"),
    "frechet distance": Measure("Frechet distance ({features})", -1, "{:.1f}"),
    "psnr": Measure("PSNR, dB", 1, "{:.2f}"),
    "mse": Measure("MSE", -1, "{:.1f}"),
    "ssim": Measure("SSIM", 1, "{:.3f}"),
    "ms-ssim": Measure("MS-SSIM", 1, "{:.3f}"),
    "lpips": Measure("LPIPS", -1, "{:.3f}"),
    "identity": Measure("identity, cosine", 1, "{:.3f}"),
    "rank-1": Measure("identity, rank 1, %", 1, "{:.1f}", 100),
    "cycle error": Measure("cycle error, of 255", -1, "{:.2f}"),
}


class Figure(NamedTuple):
    """A mean over pictures and seeds, and the ends of its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """A system on one data set."""

    name: str
    figures: dict[str, Figure]
    folders: tuple[Path, ...] = ()
    """Its cells that have results, below the comparison's folder."""
    why: str = ""
    """Why there are no figures."""
    features: str = "judge"
    by_pairs: bool = False
    """Whether it learned from pairs, which tell it the true answers."""

    @property
    def fixed(self) -> bool:
        return self.name in FIXED

    @property
    def idle(self) -> bool:
        """Whether it hardly translates: a copy of the input stands high in most columns."""
        return not self.fixed and "judged" in self.figures and self.figures["judged"].mean < TRANSLATES

    @property
    def competes(self) -> bool:
        """Whether its figures can be best."""
        return not (self.fixed or self.idle)


def read_rows(out: Path, data: str, systems: list[str], to: str, by_pairs: list[str]) -> list[Row]:
    """Every system's row, then copying the input and the true answer; some learned from pairs."""
    rows, fixed = [], {}
    for system in systems:
        cells = sorted((out / data / system).glob("seed-*"))
        found = {cell: _json(cell / to / "results.json") for cell in cells if (cell / to / "results.json").exists()}
        if not found:
            rows.append(Row(system, {}, why=_why(cells)))
            continue
        figures = _figures([result["rows"]["translation"] for result in found.values()])
        first = next(iter(found.values()))
        features = (first.get("features") or {}).get("name", "judge")
        folders = tuple(cell.relative_to(out) for cell in found)
        rows.append(Row(system, figures, folders, features=features, by_pairs=system in by_pairs))
        for name in FIXED:
            if name in first["rows"]:
                fixed.setdefault(name, Row(name, _figures([first["rows"][name]])))
    return [*rows, *fixed.values()]


class Answers(BaseModel):
    """What people said of a system."""

    fooled: float | None
    """None where nobody was asked."""
    interval: tuple[float, float]


class Study(BaseModel):
    """What reports take up of `study.json`."""

    systems: dict[str, Answers]


def read_study(path: Path) -> dict[str, Figure]:
    """The share of people fooled, by system; raises `UserError` where the file is not a study's."""
    try:
        found = Study.model_validate_json(path.read_bytes()).systems
    except OSError as why:
        raise UserError(f"{path}: cannot be read: {why.strerror}") from why
    except ValidationError as why:
        raise UserError(f"{path}: not what `aggan study results STUDY --json` writes") from why
    return {name: Figure(told.fooled, *told.interval) for name, told in found.items() if told.fooled is not None}


def with_people(rows: list[Row], fooled: dict[str, Figure]) -> list[Row]:
    """The same rows, with what people said of those that have figures."""
    said = {row.name: {"fooled": fooled[row.name]} for row in rows if row.folders and row.name in fooled}
    return [replace(row, figures=row.figures | said.get(row.name, {})) for row in rows]


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _why(cells: list[Path]) -> str:
    failures = [cell / "failure.json" for cell in cells if (cell / "failure.json").exists()]
    return _json(failures[0])["why"] if failures else "not finished"


def _figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Over the seeds of a system: the mean of the means, and of the intervals' ends."""
    found = {}
    for name in MEASURES:
        known = [(row[name], *row["intervals"][name]) for row in rows if row.get(name) is not None]
        if known:
            found[name] = Figure(*(sum(column) / len(known) for column in zip(*known, strict=True)))
    return found


def quality(title: str, about: str, rows: list[Row], to: str, measures: tuple[str, ...] = tuple(MEASURES)) -> Table:
    """How good the systems are; columns that nobody has a figure for are left out."""
    shown = [name for name in measures if any(name in row.figures for row in rows)]
    features = next((row.features for row in rows if row.folders), "judge")
    headings = (MEASURES[name].heading.format(to=to, features=features) for name in shown)
    return Table(title, f"{about} {BOLD}".strip(), tuple(headings), tuple(_line(row, rows, shown, to) for row in rows))


def _line(row: Row, rows: list[Row], shown: list[str], to: str) -> Line:
    link = str(row.folders[0] / to / "results.json") if row.folders else ""
    cells = () if row.why else tuple(_cell(name, row, rows, link) for name in shown)
    seeds = len(row.folders)
    notes = {f"{seeds} seeds": seeds > 1, "from pairs": row.by_pairs, "hardly translates": row.idle}
    note = ", ".join(text for text, holds in notes.items() if holds)
    return Line(row.name, cells, note, row.why, str(row.folders[0]) if row.folders else "", row.fixed)


def _cell(name: str, row: Row, rows: list[Row], link: str) -> Cell:
    """A figure is best or ties with the best where its interval holds the best's mean."""
    if name not in row.figures:
        return Cell("-")
    measure, figure = MEASURES[name], row.figures[name]
    text = measure.form.format(measure.unit * figure.mean)
    if not row.competes:
        return Cell(text, link=link)
    rivals = [other.figures for other in rows if other.competes and other.by_pairs == row.by_pairs]
    best = max(measure.sign * figures[name].mean for figures in rivals if name in figures)
    return Cell(text, figure.low <= measure.sign * best <= figure.high, link)


def comma_separated(rows_of: dict[str, list[Row]]) -> str:
    """Every figure with the ends of its interval, unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["data", "row", "seeds", *(f"{name}{end}" for name in MEASURES for end in ("", " low", " high"))])
    writer.writerows(_numbers(rows_of))
    return text.getvalue()


def _numbers(rows_of: dict[str, list[Row]]) -> Iterator[list[Any]]:
    for data, rows in rows_of.items():
        for row in rows:
            figures = [row.figures.get(name, ("", "", "")) for name in MEASURES]
            yield [data, row.name, len(row.folders), *(number for figure in figures for number in figure)]
