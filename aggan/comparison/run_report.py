"""One self-contained page about one run: test images, metrics, curves, settings. Reads files only.

FOLDER/results.json       what `aggan evaluate` wrote
FOLDER/people/            NAME.input.png, .mask.png, .content.png, .output.png, .ground_truth.png of some test images
FOLDER/run/               the run
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan.comparison.curves import plot_losses, plot_masks
from aggan.comparison.figures import embed_png
from aggan.comparison.rows import read_results
from aggan.io import write_text_atomic
from aggan.metric_table import METRICS, ROWS

PARTS = {
    "input": "input",
    "mask": "attention mask",
    "content": "content",
    "output": "translation",
    "ground_truth": "ground truth",
}
"""Headings of the images of a person, by their suffix."""
SAMPLE_SHEETS = 4
"""At most this many are shown."""


class MetricLine(NamedTuple):
    """A line of the table of metrics."""

    heading: str
    explanation: str
    values: list[str]
    """Of each row of results.json."""


def write(folder: Path, journal: Sequence[dict[str, Any]], settings: dict[str, Any]) -> Path:
    """Write FOLDER/report.html and return its path."""
    results = read_results(folder)
    parts, people = _read_people(folder / "people")
    samples = sorted((folder / "run" / "samples").glob("*.png"))
    environment = Environment(loader=PackageLoader("aggan.comparison", "."), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("run_report.html.j2").render(
        to=results["to"],
        rows=[ROWS[key] for key in results["rows"]],
        metrics=_metric_lines(results),
        steps=results["steps"],
        minutes=next((line["seconds"] / 60 for line in reversed(journal) if "seconds" in line), 0.0),
        parts=parts,
        people=people,
        sheets=[(path.stem, embed_png(path)) for path in _evenly_spaced(samples, SAMPLE_SHEETS)],
        losses=plot_losses(journal),
        masks=plot_masks(journal),
        warnings=[line["warning"] for line in journal if "warning" in line],
        settings=json.dumps(settings, indent=2),
    )
    write_text_atomic(folder / "report.html", text)
    return folder / "report.html"


def _read_people(folder: Path) -> tuple[list[str], list[list[str]]]:
    """The headings of all parts that there are, and the images of each person as data URIs."""
    names = sorted(path.name.removesuffix(".input.png") for path in folder.glob("*.input.png"))
    parts = [part for part in PARTS if any(folder.glob(f"*.{part}.png"))]
    people = [[embed_png(folder / f"{name}.{part}.png") for part in parts] for name in names]
    return [PARTS[part] for part in parts], people


def _metric_lines(results: dict[str, Any]) -> list[MetricLine]:
    rows, target = results["rows"].values(), results.get("expression") or results["to"]
    features = (results.get("features") or {"name": ""})["name"]
    return [
        MetricLine(metric.heading(target, features), metric.explanation, [metric.text(row.get(key)) for row in rows])
        for key, metric in METRICS.items()
        if any(row.get(key) is not None for row in rows)
    ]


def _evenly_spaced(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the paths, from the first to the last."""
    if len(paths) <= count:
        return list(paths)
    return [paths[round(index * (len(paths) - 1) / (count - 1))] for index in range(count)]
