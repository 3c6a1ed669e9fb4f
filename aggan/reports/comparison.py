"""A benchmark's tables and its page, from the files of its cells alone.

OUT/report.html    one self-contained page: tables, the same people by every system
OUT/tables.md, OUT/tables.csv, OUT/tables.tex
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan.reports.page import embedded
from aggan.writing import write_whole

FIXED = ("copy the input", "true answer")
"""Rows that no system made; nothing of them is ever best."""


class Measure(NamedTuple):
    """How a figure is shown; `sign` is 1 where more is better, -1 where less is."""

    heading: str
    sign: int
    form: str
    unit: float = 1.0


MEASURES = {
    "judged": Measure("judged {to}, %", 1, "{:.1f}", 100),
    "change where still": Measure("change where still, of 255", -1, "{:.2f}"),
    "psnr": Measure("PSNR, dB", 1, "{:.2f}"),
    "mse": Measure("MSE", -1, "{:.1f}"),
    "ssim": Measure("SSIM", 1, "{:.3f}"),
    "identity": Measure("identity, cosine", 1, "{:.3f}"),
    "rank-1": Measure("identity, rank 1, %", 1, "{:.1f}", 100),
}


class Figure(NamedTuple):
    """A mean over pictures and seeds, and the ends of its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    name: str
    seeds: int
    figures: dict[str, Figure]
    why: str = ""
    """Why there are no figures."""
    run: str = ""
    """Where its first run lies, below the benchmark's folder."""


def write(out: Path) -> Path:
    """Write the tables and the page of what is finished by now, and give the page's path."""
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    tables = {data: list(_rows(out, plan, data)) for data in plan["data"]}
    for name, text in (("md", markdown), ("csv", comma_separated), ("tex", latex)):
        _write(out / f"tables.{name}", "\n".join(text(data, rows, plan) for data, rows in tables.items()))
    environment = Environment(loader=PackageLoader("aggan.reports", "."), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("comparison.html.j2").render(
        plan=plan,
        measures=[measure.heading.format(to=plan["target"]) for measure in MEASURES.values()],
        tables={data: [(row, cells_of(row, rows)) for row in rows] for data, rows in tables.items()},
        people={data: _people(out, data, rows) for data, rows in tables.items()},
    )
    _write(out / "report.html", page)
    return out / "report.html"


def _rows(out: Path, plan: dict[str, Any], data: str) -> Iterator[Row]:
    fixed: dict[str, Row] = {}
    for system in dict.fromkeys([*plan["systems"], *plan["more_seeds"]]):
        folders = sorted((out / data / system).glob("seed-*"))
        results = [json.loads((f / "results.json").read_text()) for f in folders if (f / "results.json").exists()]
        if not results:
            yield Row(system, 0, {}, _why(folders))
            continue
        run = str((folders[0] / "run").relative_to(out))
        yield Row(system, len(results), _figures([result["rows"]["translation"] for result in results]), run=run)
        for name in FIXED:
            fixed.setdefault(name, Row(name, 1, _figures([results[0]["rows"][name]])))
    yield from fixed.values()


def _why(folders: list[Path]) -> str:
    failures = [folder / "failure.json" for folder in folders if (folder / "failure.json").exists()]
    return json.loads(failures[0].read_text(encoding="utf-8"))["why"] if failures else "not finished"


def _figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Over the seeds of a system: the mean of the means, and of the intervals' ends."""
    found = {}
    for name in MEASURES:
        known = [(row[name], *row["intervals"][name]) for row in rows if row.get(name) is not None]
        if known:
            found[name] = Figure(*(sum(column) / len(known) for column in zip(*known, strict=True)))
    return found


class Cell(NamedTuple):
    """A figure as text, and whether it is the best or ties with it."""

    text: str
    best: bool


def cells_of(row: Row, rows: list[Row]) -> list[Cell]:
    """A row's figures; a system ties with the best if its interval holds the best's mean."""
    return [_cell(name, measure, row, rows) for name, measure in MEASURES.items()]


def _cell(name: str, measure: Measure, row: Row, rows: list[Row]) -> Cell:
    if name not in row.figures:
        return Cell("-", False)
    figure, text = row.figures[name], measure.form.format(measure.unit * row.figures[name].mean)
    if row.name in FIXED:
        return Cell(text, False)
    best = max(measure.sign * r.figures[name].mean for r in rows if r.name not in FIXED and name in r.figures)
    return Cell(text, figure.low <= measure.sign * best <= figure.high)


def markdown(data: str, rows: list[Row], plan: dict[str, Any]) -> str:
    """A table as Markdown, the best in bold."""
    heads = [measure.heading.format(to=plan["target"]) for measure in MEASURES.values()]
    lines = [f"## {data}\n", "| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for row in rows:
        texts = [f"**{cell.text}**" if cell.best else cell.text for cell in cells_of(row, rows)]
        lines.append(f"| {row.name}{_note(row)} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def comma_separated(data: str, rows: list[Row], plan: dict[str, Any]) -> str:
    """Every figure with the ends of its interval, unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["data", "row", "seeds", *(f"{name}{end}" for name in MEASURES for end in ("", " low", " high"))])
    for row in rows:
        figures = [row.figures.get(name, ("", "", "")) for name in MEASURES]
        writer.writerow([data, row.name, row.seeds, *(number for figure in figures for number in figure)])
    return text.getvalue()


def latex(data: str, rows: list[Row], plan: dict[str, Any]) -> str:
    """A table for booktabs, the best in bold."""
    heads = [_escaped(measure.heading.format(to=plan["target"])) for measure in MEASURES.values()]
    lines = [f"% {data}", rf"\begin{{tabular}}{{l{'r' * len(heads)}}}", r"\toprule"]
    lines += [" & ".join(["", *heads]) + r" \\", r"\midrule"]
    for row in rows:
        texts = [rf"\textbf{{{cell.text}}}" if cell.best else cell.text for cell in cells_of(row, rows)]
        lines.append(" & ".join([_escaped(row.name), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", r"\%").replace("_", r"\_").replace("&", r"\&")


def _note(row: Row) -> str:
    return f" ({row.why})" if row.why else f" ({row.seeds} seeds)" if row.seeds > 1 else ""


def _people(out: Path, data: str, rows: list[Row]) -> list[tuple[str, list[str]]]:
    """The same people by every system: name and pictures, as data URIs."""
    made = [(row.name, out / Path(row.run).parent / "people") for row in rows if row.run]
    if not made:
        return []
    names = sorted(path.name for path in made[0][1].glob("*.png") if path.name.count(".") == 1)
    shown = [("input", out / data / "people" / "inputs"), *made, ("true answer", out / data / "people" / "answers")]
    return [(label, [embedded(folder / name) for name in names]) for label, folder in shown]


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda place: place.write_text(text, encoding="utf-8"))
