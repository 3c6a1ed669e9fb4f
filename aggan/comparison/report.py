"""The page and the tables of a comparison, from the files of its trials.

OUT/comparison.json    what is compared
OUT/report.html        one self-contained page: tables, figures, costs, curves
OUT/tables.md, OUT/tables.csv, OUT/tables.tex
OUT/figures/           the figures of the page as PNG files
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan.comparison.costs import capacity_table, cost_table
from aggan.comparison.curves import plot_losses
from aggan.comparison.differences import difference_table
from aggan.comparison.figures import WORST_TITLE, FigureData, Sheet, draw, make_figures, run_folder, undrawable
from aggan.comparison.fonts import missing_font_warning
from aggan.comparison.migrate import COMPARISON_VERSION, migrate_comparison
from aggan.comparison.rows import STUDY, Row, comma_separated, quality_table, read_rows, read_study, with_study
from aggan.comparison.tables import Table, latex, markdown, side_by_side
from aggan.io import read_json, unwritable_reason, write_json_atomic, write_text_atomic
from aggan.training import log

FILE, CAPACITY, PAGE = "comparison.json", "capacity.json", "report.html"
MAIN_METRICS = ("classified", "background_change", "kernel_distance", "psnr", "mse")
"""Columns of tables of several data sets or of further targets."""


class Comparison(NamedTuple):
    """The content of comparison.json."""

    source: str
    targets: list[str]
    size: int
    budget: str
    """How long each method was trained, in words."""
    methods: list[str]
    ablations: list[str]
    """The methods of Table II, the complete one first."""
    data: list[str]
    """Names of the data sets."""
    without_ground_truth: list[str]
    """Data sets whose test images are not pairs."""
    learn_from_pairs: list[str]
    """Methods."""
    unchecked: Sequence[str] = ()
    """Runs of which it is not known whether they were trained on a test image, as their training images are gone."""
    left_out: Sequence[str] = ()
    """A sentence for each reason why test images are left out."""
    version: int = COMPARISON_VERSION

    def read_rows(self, out: Path, data: str, to: str) -> list[Row]:
        """The rows of all methods on one data set, to one target."""
        methods = list(dict.fromkeys(self.methods + self.ablations))
        return read_rows(out, data, methods, to, self.learn_from_pairs)


def save(out: Path, comparison: Comparison) -> None:
    """Write comparison.json."""
    write_json_atomic(out / FILE, comparison._asdict())


def write(out: Path, warn: Callable[[str], object]) -> Path:
    """Write the tables and the page of everything that is finished. Returns the page's path.

    `warn` is called with a sentence about what the figures lack.
    """
    comparison = Comparison(**migrate_comparison(read_json(out / FILE, newest=COMPARISON_VERSION)))
    main = comparison.targets[0]
    rows_of = {data: comparison.read_rows(out, data, main) for data in comparison.data}
    if len(rows_of) == 1 and (out / STUDY).exists():  # a study is about one data set and one target
        rows_of = {data: with_study(rows, read_study(out / STUDY)) for data, rows in rows_of.items()}
    quality = list(_quality_tables(comparison, out, rows_of))
    costs = [cost_table(out, rows_of[comparison.data[0]], main)]
    costs += [capacity_table(out / CAPACITY)] if (out / CAPACITY).exists() else []
    for suffix, format_table in (("md", markdown), ("tex", latex)):
        write_text_atomic(out / f"tables.{suffix}", "\n".join(map(format_table, quality + costs)))
    write_text_atomic(out / "tables.csv", comma_separated(rows_of))
    figures = {}
    for data, rows in rows_of.items():
        task = comparison.source, tuple(comparison.targets), comparison.size
        figures[data] = list(make_figures(FigureData(out, data, rows, *task)))
        if any(row.folders for row in rows) and not figures[data]:
            warn(f"no figures of {data}, as no test image has a translation by every method below {out / data}")
        for sheet in figures[data]:
            _draw(out / "figures" / f"{data}-{sheet.title.lower().replace(' ', '-')}.png", sheet, warn)
    boxes = dict.fromkeys(text for sheets in figures.values() for sheet in sheets for text in undrawable(sheet))
    if boxes:
        warn(missing_font_warning(boxes))
    environment = Environment(loader=PackageLoader("aggan.comparison", "."), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html.j2").render(
        comparison=comparison,
        quality=quality,
        costs=costs,
        figures=figures,
        worst_title=WORST_TITLE,
        curves={
            row.name: plot_losses(log.read(run_folder(out, row, main)))
            for row in rows_of[comparison.data[0]]
            if row.folders
        },
    )
    write_text_atomic(out / PAGE, page)
    return out / PAGE


def _draw(path: Path, sheet: Sheet, warn: Callable[[str], object]) -> None:
    if reason := unwritable_reason(path):
        warn(f"not drawn: {path}: {reason}")
    else:
        draw(path, sheet)


def _quality_tables(comparison: Comparison, out: Path, rows_of: dict[str, list[Row]]) -> Iterator[Table]:
    source, main = comparison.source, comparison.targets[0]
    if len(rows_of) > 1:
        tables = {data: quality_table("", "", rows, main, MAIN_METRICS) for data, rows in rows_of.items()}
        yield side_by_side("Table I", f"{source} to {main} on every data set.", tables)
    for data, rows in rows_of.items():
        title = "Table I" if len(rows_of) == 1 else f"Table I, {data}"
        about = f"{source} to {main} on {data}."
        if data in comparison.without_ground_truth:
            about += " The test images are not pairs, so there is no PSNR, MSE or SSIM, and no background change."
        only_ablations = set(comparison.methods) <= set(comparison.ablations)
        has_ablations = len(comparison.ablations) > 1
        if not (has_ablations and only_ablations):
            yield quality_table(title, about, _select(rows, comparison.methods), main)
        if has_ablations:
            about += " AD: attention-guided discriminators, AG: generators, PL: pixel loss, AL: attention loss."
            selected = _select(rows, comparison.ablations)
            title = title.replace("Table I", "Table II")
            yield quality_table(title, about, selected, main)
            if differences := difference_table(f"{title}: differences", out, selected, main):
                yield differences
        for to in comparison.targets[1:]:
            selected = _select(comparison.read_rows(out, data, to), comparison.methods)
            yield quality_table(f"To {to}", f"{source} to {to} on {data}.", selected, to, MAIN_METRICS)


def _select(rows: list[Row], methods: list[str]) -> list[Row]:
    """The rows of some methods, and the references."""
    return [row for row in rows if row.is_reference or row.name in methods]
