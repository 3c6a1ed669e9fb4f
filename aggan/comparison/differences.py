"""How much methods differ on the same people, with intervals over people and seeds."""

from collections.abc import Sequence
from math import hypot
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aggan.comparison.rows import COMPARED, Estimate, Row, read_results
from aggan.comparison.tables import EMPTY, Cell, Line, Table
from aggan.metric_table import METRICS, TRANSLATION
from aggan.stats import bootstrap_interval, seed_error

Results = dict[str, Any]
"""The content of results.json."""


class _Seeds(NamedTuple):
    """The results of one method with one or several seeds."""

    results: Sequence[Results]

    def means(self, key: str) -> list[float]:
        """The mean over people, for each seed."""
        means = (result["rows"][TRANSLATION].get(key) for result in self.results)
        return [mean for mean in means if mean is not None]

    def half_width(self, key: str) -> float:
        """Half the interval over people, the mean over seeds."""
        intervals = [result["rows"][TRANSLATION]["intervals"][key] for result in self.results]
        return sum(high - low for low, high in intervals) / len(intervals) / 2

    def by_person(self, key: str) -> dict[str, float]:
        """The mean over seeds, for each person that has a value with every seed; empty if people have none."""
        if not all(key in result["each"] for result in self.results):
            return {}
        columns = [dict(zip(result["each"]["name"], result["each"][key], strict=True)) for result in self.results]
        common = [name for name in columns[0] if all(column.get(name) is not None for column in columns)]
        return {name: sum(column[name] for column in columns) / len(columns) for name in common}


def difference(method: _Seeds, reference: _Seeds, key: str) -> Estimate | None:
    """The value of a method less the reference's; None if one has no value.

    A metric of single images is compared person by person. Two values of a metric of sets, such as a kernel distance,
    are compared as if they were independent, which is too careful.
    """
    means, reference_means = method.means(key), reference.means(key)
    if not (means and reference_means):
        return None
    people, reference_people = method.by_person(key), reference.by_person(key)
    pairs = [people[name] - reference_people[name] for name in people if name in reference_people]
    if pairs:
        estimate = Estimate(sum(pairs) / len(pairs), *bootstrap_interval(np.array(pairs)))
    else:
        mean = sum(means) / len(means) - sum(reference_means) / len(reference_means)
        error = hypot(method.half_width(key), reference.half_width(key))
        estimate = Estimate(mean, mean - error, mean + error)
    return estimate.widened(hypot(seed_error(means), seed_error(reference_means)))


def difference_table(title: str, out: Path, rows: Sequence[Row], to: str) -> Table | None:
    """Each row less the first one, for every metric of the first; None if fewer than two have results."""
    done = [row for row in rows if row.folders and not row.is_reference]
    if len(done) < 2:
        return None
    reference, *others = done
    keys = [key for key in COMPARED if key in reference.estimates and key != "fooled"]
    seeds = {row.name: _Seeds([read_results(out / folder / to) for folder in row.folders]) for row in done}
    headings = tuple(METRICS[key].heading(to, reference.features) for key in keys)
    lines = [
        Line(row.name, tuple(_cell(key, difference(seeds[row.name], seeds[reference.name], key)) for key in keys))
        for row in others
    ]
    about = (
        f"Each method less {reference.name}, on the same people; in parentheses the 95 % interval over people and "
        "seeds. Bold: the interval does not contain 0."
    )
    return Table(title, about, headings, tuple(lines))


def _cell(key: str, estimate: Estimate | None) -> Cell:
    if estimate is None:
        return EMPTY
    mean, low, high = map(METRICS[key].difference_text, estimate)
    return Cell(f"{mean} ({low} to {high})", best=not estimate.low <= 0 <= estimate.high)
