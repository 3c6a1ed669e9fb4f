"""What an adapter finds in the folder of an original data set, and what it leaves out and why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aggan.data.index import SPLITS
from aggan.data.listing import files_of
from aggan.errors import UserError

Details = dict[str, str | int | float]


@dataclass(frozen=True)
class Photograph:
    """One picture of the source; `name` is the same for all expressions that answer each other."""

    source: Path
    name: str
    expression: str
    person: str | None
    details: Details = field(default_factory=dict)

    def place(self, split: str) -> str:
        """Where it goes in the prepared set."""
        return f"{split}/{self.expression}/{self.name}.png"


@dataclass
class Found:
    """The pictures of each split, and what there is to say about the others."""

    splits: dict[str, list[Photograph]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """Reason to the names of files."""
    missing: list[str] = field(default_factory=list)
    """Pictures that a whole copy would have."""
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, name: str) -> None:
        self.skipped.setdefault(reason, []).append(name)

    def planned(self) -> list[tuple[str, Photograph]]:
        """Every picture with its split."""
        return [(split, photograph) for split in SPLITS for photograph in self.splits[split]]


def gather(
    src: Path, suffixes: Iterable[str], example: str, describe: Callable[[Path], Photograph | str]
) -> tuple[list[Photograph], Found]:
    """The photographs below `src`, sorted; `describe` tells of a file what it is, or why it is left out.

    Raises `UserError` where nothing is left.
    """
    found = Found()
    kept: dict[tuple[str, str], Photograph] = {}
    for file in files_of(src, frozenset(suffixes)):
        told = describe(file)
        if isinstance(told, str):
            found.skip(told, file.name)
        elif kept.setdefault((told.expression, told.name), told) is not told:
            found.skip("a second file of the same picture", file.name)
    if not kept:
        raise UserError(f"{src}: no picture to take; one would be named {example}{_instead(found)}")
    return list(kept.values()), found


def _instead(found: Found) -> str:
    reasons = [f"; {len(names)} such as {names[0]}: {reason}" for reason, names in found.skipped.items()]
    return "".join(reasons) or "; there are no pictures at all, so unpack or copy the data set there"
