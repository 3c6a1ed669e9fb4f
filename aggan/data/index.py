"""The lists of a data set: what a rendered, a prepared and the shipped set say about themselves.

pictures.jsonl    one JSON object a picture, with its `file` below the set's folder
pairs.jsonl       the same for answers that are kept apart, each with the `input` that it answers
dataset.json      what the set is; comes last, so that a set which has it is whole
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aggan.data.listing import looking
from aggan.errors import UserError
from aggan.io import write_whole

INDEX, PAIRS, CARD = "pictures.jsonl", "pairs.jsonl", "dataset.json"
VERSION = 1
"""Of these three files and of the folders that they tell of."""
SPLITS = ("train", "test")

Record = dict[str, Any]
Counts = dict[str, dict[str, int]]
"""How many pictures each split has of each expression."""


def read_records(path: Path) -> list[Record]:
    """Every record of a list; raises `UserError` where there are none to read, or a line is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise UserError(f"{path}: cannot be read: {why}") from why
    return [_record(path, number, line) for number, line in enumerate(lines, start=1)]


def _record(path: Path, number: int, line: str) -> Record:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        record = None
    if not (isinstance(record, dict) and isinstance(record.get("file"), str)):
        raise UserError(f"{path}: line {number} is no record of a picture with its file")
    return record


def lines(records: Iterable[Record]) -> str:
    """The text of a list."""
    return "".join(json.dumps(record) + "\n" for record in records)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a list, whole or not at all."""
    write_whole(path, lambda place: place.write_text(lines(records), encoding="utf-8"))


@looking()
def find_card(out: Path, work: str) -> Path | None:
    """The card of the set in `out`, whole or (below `work`) begun; None where there is room for a new one.

    Raises `UserError` where something else is.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: choose a folder")
    for card in (out / CARD, out / work / CARD):
        if card.exists():
            return card
    if out.exists() and any(entry.name != work for entry in out.iterdir()):
        raise UserError(f"{out}: is not empty and was not made by this command: choose a new folder")
    return None


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write what the set is, whole or not at all."""
    write_whole(path, lambda place: place.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8"))


def counts(records: Sequence[Record]) -> Counts:
    """How many pictures there are, by split and expression."""
    times = Counter((record["split"], record["expression"]) for record in records)
    return {split: {name: n for (s, name), n in sorted(times.items()) if s == split} for split in SPLITS}
