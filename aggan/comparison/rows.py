"""The results of a comparison: a row for each method, with a mean and an interval for each metric."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from aggan.comparison.migrate import STUDY_VERSION, migrate_failure, migrate_study
from aggan.comparison.tables import EMPTY, Cell, Line, Table
from aggan.errors import UserError
from aggan.io import read_json
from aggan.metric_table import (
    GROUND_TRUTH,
    IDENTITY_BASELINE,
    METRICS,
    RESULTS_VERSION,
    ROWS,
    TRANSLATION,
    migrate_results,
)
from aggan.stats import seed_error

COMPARED = tuple(key for key, metric in METRICS.items() if metric.direction and metric.interval)
"""The metrics in tables: those with a better direction and an interval."""
MIN_CLASSIFIED = 0.5
"""A method hardly translates if a smaller share of its images is classified as the target. It is never best then."""
BOLD = (
    "Bold: the best value of a column, and all values whose 95 % interval contains it, among the methods that "
    "translate. Methods that learn from pairs are compared with each other."
)
STUDY = "study.json"
"""The results of a perceptual study, if there is one."""


class Estimate(NamedTuple):
    """A mean over images and seeds, and its interval over both."""

    mean: float
    low: float
    high: float

    def widened(self, error: float) -> "Estimate":
        """The same with a further independent error, half of a 95 % interval."""
        low, high = self.mean - hypot(self.mean - self.low, error), self.mean + hypot(self.high - self.mean, error)
        return Estimate(self.mean, low, high)


@dataclass(frozen=True)
class Row:
    """The results of a method on one data set, or of a reference."""

    name: str
    estimates: dict[str, Estimate]
    """By metric."""
    folders: tuple[Path, ...] = ()
    """Of the trials with results, relative to the comparison's folder."""
    error: str = ""
    """Why there are no results."""
    features: str = ""
    """The network on whose features sets of images were compared."""
    attention: bool = False
    """Whether there are attention masks."""
    learns_from_pairs: bool = False
    is_reference: bool = False
    """Whether it is the identity baseline or the ground truth, not a method."""

    @property
    def hardly_translates(self) -> bool:
        """Whether few images are classified as the target; a copy of the input is good by most other metrics."""
        classified = self.estimates.get("classified")
        return not self.is_reference and classified is not None and classified.mean < MIN_CLASSIFIED

    @property
    def can_be_best(self) -> bool:
        return not (self.is_reference or self.hardly_translates)


def read_rows(out: Path, data: str, methods: Sequence[str], to: str, learn_from_pairs: Sequence[str]) -> list[Row]:
    """The row of each method, then the references."""
    rows, references = [], {}
    for method in methods:
        trials = sorted((out / data / method).glob("seed-*"))
        results = {trial: read_results(trial / to) for trial in trials if (trial / to / "results.json").exists()}
        if not results:
            rows.append(Row(method, {}, error=_read_error(trials)))
            continue
        first = next(iter(results.values()))["rows"]
        row = Row(
            method,
            _estimates([result["rows"][TRANSLATION] for result in results.values()]),
            folders=tuple(trial.relative_to(out) for trial in results),
            features=_features(next(iter(results.values()))),
            attention="mask_mean" in first[TRANSLATION],
            learns_from_pairs=method in learn_from_pairs,
        )
        rows.append(row)
        for key in (IDENTITY_BASELINE, GROUND_TRUTH):
            if key in first:
                references.setdefault(key, Row(ROWS[key], _estimates([first[key]]), is_reference=True))
    return [*rows, *references.values()]


def read_results(folder: Path) -> dict[str, Any]:
    """The results.json of a folder, also of an earlier version. Raises `UserError` if it cannot be read."""
    return migrate_results(read_json(folder / "results.json", newest=RESULTS_VERSION))


def _features(results: dict[str, Any]) -> str:
    return (results.get("features") or {"name": ""})["name"]


def _estimates(rows: Sequence[dict[str, Any]]) -> dict[str, Estimate]:
    """The means over the seeds of a method. Seeds share their people, so their intervals are averaged, then widened."""
    estimates = {}
    for key in COMPARED:
        values = [(row[key], *row["intervals"][key]) for row in rows if row.get(key) is not None]
        if values:
            over_people = Estimate(*(sum(column) / len(values) for column in zip(*values, strict=True)))
            estimates[key] = over_people.widened(seed_error([mean for mean, _, _ in values]))
    return estimates


def _read_error(trials: Sequence[Path]) -> str:
    failures = [trial / "failure.json" for trial in trials if (trial / "failure.json").exists()]
    return migrate_failure(read_json(failures[0]))["error"] if failures else "not finished"


class MethodAnswers(BaseModel):
    """The answers of a study's participants about a method."""

    fooled: float | None
    """None without answers."""
    interval: tuple[float, float]


class Study(BaseModel):
    """The part of study.json that tables show."""

    methods: dict[str, MethodAnswers]


def read_study(path: Path) -> dict[str, Estimate]:
    """The share of people fooled, by method. Raises `UserError` if the file does not hold the results of a study."""
    try:
        methods = Study.model_validate(migrate_study(read_json(path, newest=STUDY_VERSION))).methods
    except ValidationError as error:
        raise UserError(f"{path}: not written by `aggan study results STUDY --json`") from error
    return {
        name: Estimate(answers.fooled, *answers.interval)
        for name, answers in methods.items()
        if answers.fooled is not None
    }


def with_study(rows: Sequence[Row], fooled: dict[str, Estimate]) -> list[Row]:
    """The same rows, with the share of people fooled by those that have results."""
    return [
        replace(row, estimates=row.estimates | {"fooled": fooled[row.name]})
        if row.folders and row.name in fooled
        else row
        for row in rows
    ]


def quality_table(title: str, about: str, rows: Sequence[Row], to: str, metrics: Sequence[str] = COMPARED) -> Table:
    """The metrics of all rows; metrics that no row has are left out."""
    present = [key for key in metrics if any(key in row.estimates for row in rows)]
    features = next((row.features for row in rows if row.folders), "")
    headings = (METRICS[key].heading(to, features) for key in present)
    lines = (_line(row, rows, present, to) for row in rows)
    return Table(title, f"{about} {BOLD}".strip(), tuple(headings), tuple(lines))


def _line(row: Row, rows: Sequence[Row], metrics: Sequence[str], to: str) -> Line:
    link = str(row.folders[0] / to / "results.json") if row.folders else ""
    cells = () if row.error else tuple(_cell(key, row, rows, link) for key in metrics)
    seeds = len(row.folders)
    notes = {
        f"{seeds} seeds": seeds > 1,
        "from pairs": row.learns_from_pairs,
        "hardly translates": row.hardly_translates,
    }
    note = ", ".join(text for text, holds in notes.items() if holds)
    return Line(row.name, cells, note, row.error, str(row.folders[0]) if row.folders else "", row.is_reference)


def _cell(key: str, row: Row, rows: Sequence[Row], link: str) -> Cell:
    if key not in row.estimates:
        return EMPTY
    metric, estimate = METRICS[key], row.estimates[key]
    text = metric.text(estimate.mean)
    if not row.can_be_best:
        return Cell(text, link=link)
    rivals = [other for other in rows if other.can_be_best and other.learns_from_pairs == row.learns_from_pairs]
    means = [other.estimates[key].mean for other in rivals if key in other.estimates]
    best = max(means) if metric.direction > 0 else min(means)
    return Cell(text, estimate.low <= best <= estimate.high, link)


def comma_separated(rows_of: dict[str, list[Row]]) -> str:
    """Every mean with the ends of its interval, unrounded, by data set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["data", "row", "seeds", *(f"{key}{end}" for key in COMPARED for end in ("", "_low", "_high"))])
    writer.writerows(_csv_lines(rows_of))
    return text.getvalue()


def _csv_lines(rows_of: dict[str, list[Row]]) -> Iterator[list[str | int | float]]:
    for data, rows in rows_of.items():
        for row in rows:
            estimates = [row.estimates.get(key, ("", "", "")) for key in COMPARED]
            yield [data, row.name, len(row.folders), *(number for estimate in estimates for number in estimate)]
