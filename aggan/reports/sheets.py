"""What the figures of a comparison are made of.

OUT/DATA/test/DOMAIN/NAME.png               whom the systems were tested on
OUT/DATA/SYSTEM/seed-N/TARGET/pictures/     NAME.png, NAME.mask.png, NAME.content.png
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aggan.reports.embedding import embedded
from aggan.reports.rows import Row


class Strip(NamedTuple):
    """Pictures of one row."""

    label: str
    pictures: tuple[str, ...]
    """Data URIs, an empty one where there is no picture."""
    notes: tuple[str, ...] = ()
    """Below each picture."""


class Sheet(NamedTuple):
    """What is shown under one title."""

    title: str
    about: str
    strips: tuple[Strip, ...]
    heads: tuple[str, ...] = ()
    """Above each column."""


class Shown(NamedTuple):
    """What the figures of one data set are made of."""

    out: Path
    data: str
    rows: Sequence[Row]
    source: str
    targets: tuple[str, ...]
    size: int

    @property
    def test(self) -> Path:
        return self.out / self.data / "test"

    def made(self, row: Row, to: str) -> Path:
        """The folder of a row's pictures."""
        return self.out / row.folders[0] / to / "pictures"

    @property
    def finished(self) -> list[Row]:
        return [row for row in self.rows if row.folders]

    @property
    def attentive(self) -> Row | None:
        """The first row whose system has masks."""
        return next((row for row in self.finished if any(self.made(row, self.targets[0]).rglob("*.mask.png"))), None)

    def names(self, count: int) -> list[str]:
        """Some of the people, from all over the test set, that every system has translated to the first target."""
        folder = self.test / self.source
        names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.png"))
        made = [self.made(row, self.targets[0]) for row in self.finished]
        names = [name for name in names if all((place / f"{name}.png").exists() for place in made)]
        return [names[place * len(names) // count] for place in range(min(count, len(names)))]


def strip(label: str, paths: Sequence[Path]) -> Strip:
    """A row of PNG files."""
    return Strip(label, tuple(embedded(path) if path.exists() else "" for path in paths))


def run_of(out: Path, row: Row, to: str) -> Path:
    """The run folder of a row's first cell: beside its results, or where those of a target say."""
    cell = out / row.folders[0]
    if (cell / "run").is_dir():
        return cell / "run"
    return Path(json.loads((cell / to / "results.json").read_text(encoding="utf-8")).get("model", cell / "run"))
