"""A comparison's page and tables, from the files of its cells alone.

OUT/comparison.json    what is compared
OUT/report.html        one self-contained page: tables, the same people by every system, masks, the worst, curves
OUT/tables.md, OUT/tables.csv, OUT/tables.tex
OUT/figures/           the page's pictures, each as a file
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan.comparison.costs import costs, sizes
from aggan.comparison.curves import curves
from aggan.comparison.figures import Shown, draw, gallery, run_of
from aggan.comparison.rows import STUDY, Row, comma_separated, quality, read_rows, read_study, with_people
from aggan.comparison.tables import Table, beside, latex, markdown
from aggan.io import write_whole
from aggan.training import log

FILE, CAPACITY = "comparison.json", "capacity.json"
NARROW = ("judged", "change where still", "kernel distance", "psnr", "mse")
"""Columns where there are several data sets or targets."""


class Comparison(NamedTuple):
    """What `comparison.json` holds."""

    source: str
    targets: list[str]
    size: int
    budget: str
    """How long each system was trained, in words."""
    systems: list[str]
    ablations: list[str]
    """Those of Table II, the whole system first."""
    data: list[str]
    unpaired: list[str]
    """Data sets without true answers."""
    by_pairs: list[str]
    """Those of the systems that learn from pairs."""
    version: int = 1


def note(out: Path, comparison: Comparison) -> None:
    """Write `comparison.json`."""
    text = json.dumps(comparison._asdict(), indent=2) + "\n"
    write_whole(out / FILE, lambda path: path.write_text(text, encoding="utf-8"))


def write(out: Path) -> Path:
    """Write the tables and the page of what is finished by now, and give the page's path."""
    comparison = Comparison(**json.loads((out / FILE).read_text(encoding="utf-8")))
    names, main = list(dict.fromkeys(comparison.systems + comparison.ablations)), comparison.targets[0]
    rows_of = {data: read_rows(out, data, names, main, comparison.by_pairs) for data in comparison.data}
    if len(rows_of) == 1 and (out / STUDY).exists():  # a study is of one task
        rows_of = {data: with_people(rows, read_study(out / STUDY)) for data, rows in rows_of.items()}
    tables, prices = list(_results(comparison, out, rows_of)), list(_prices(comparison, out, rows_of))
    for suffix, text in (("md", markdown), ("tex", latex)):
        _write(out / f"tables.{suffix}", "\n".join(map(text, tables + prices)))
    _write(out / "tables.csv", comma_separated(rows_of))
    environment = Environment(loader=PackageLoader("aggan.comparison", "."), autoescape=True, undefined=StrictUndefined)
    task = comparison.source, tuple(comparison.targets), comparison.size
    shown = [Shown(out, data, rows, *task) for data, rows in rows_of.items()]
    figures = [(some.data, list(gallery(some))) for some in shown]
    for data, sheets in figures:
        for sheet in sheets:
            draw(out / "figures" / f"{data}-{sheet.title.lower().replace(' ', '-')}.png", sheet)
    page = environment.get_template("comparison.html.j2").render(
        comparison=comparison,
        tables=tables,
        prices=prices,
        figures=figures,
        curves=[(row.name, _losses(run_of(out, row, main))) for row in rows_of[comparison.data[0]] if row.folders],
    )
    _write(out / "report.html", page)
    return out / "report.html"


def _results(comparison: Comparison, out: Path, rows_of: dict[str, list[Row]]) -> Iterator[Table]:
    main = comparison.targets[0]
    if len(rows_of) > 1:
        parts = {data: quality("", "", rows, main, NARROW) for data, rows in rows_of.items()}
        yield beside("Table I", f"{comparison.source} to {main} on every data set.", parts)
    for data, rows in rows_of.items():
        title = "Table I" if len(rows_of) == 1 else f"Table I, {data}"
        systems = [row for row in rows if row.fixed or row.name in comparison.systems]
        about = f"{comparison.source} to {main} on {data}."
        if data in comparison.unpaired:
            about += " Its test pictures have no true answers, so there is no PSNR, MSE or SSIM, and no still region."
        ablated = len(comparison.ablations) > 1
        if not (ablated and set(comparison.systems) <= set(comparison.ablations)):
            yield quality(title, about, systems, main)
        if ablated:
            chosen = [row for row in rows if row.fixed or row.name in comparison.ablations]
            about += " AD: attention-guided discriminators, AG: generators, PL: pixel loss, AL: attention loss."
            yield quality(title.replace("Table I", "Table II"), about, chosen, main)
        for to in comparison.targets[1:]:
            about = f"{comparison.source} to {to} on {data}."
            others = read_rows(out, data, [row.name for row in systems if not row.fixed], to, comparison.by_pairs)
            yield quality(f"To {to}", about, others, to, NARROW)


def _prices(comparison: Comparison, out: Path, rows_of: dict[str, list[Row]]) -> Iterator[Table]:
    yield costs(out, rows_of[comparison.data[0]], comparison.targets[0])
    if (out / CAPACITY).exists():
        yield sizes(out / CAPACITY)


def _losses(run: Path) -> str:
    told = log.read(run)
    names = dict.fromkeys(key for line in told for key in line if key not in log.NOT_LOSSES)
    losses = [name for name in names if not name.endswith(("mean", "spread"))]
    return curves(told, losses, "weighted loss", log=True) if losses else ""


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda place: place.write_text(text, encoding="utf-8"))
