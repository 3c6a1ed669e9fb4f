"""The files that describe a data set: of rendered, prepared and shipped sets.

images.jsonl    one JSON object an image, with its `file` below the set's folder
pairs.jsonl     the same for ground-truth images that are kept apart, each with the `input` that it belongs to
masks/          masks of parts of the images: masks/PART/FILE.png
dataset.json    the card of the set; it is written last, so a set that has one is complete
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aggan.data.listing import report_os_errors
from aggan.errors import UserError
from aggan.io import write_json_atomic, write_text_atomic

INDEX, PAIRS, CARD = "images.jsonl", "pairs.jsonl", "dataset.json"
MASKS, FACE = "masks", "face"
FORMER_INDEX = "pictures.jsonl"
"""Name of the index in older sets, which are read like new ones."""
VERSION = 1
"""Version of these files and of the folders that they describe."""
SPLITS = ("train", "test")

Record = dict[str, Any]
Counts = dict[str, dict[str, int]]
"""Number of images by split and expression or domain."""


def index_file(root: Path) -> Path:
    """Path of a set's index, which need not exist: `images.jsonl`, or `pictures.jsonl` in an older set."""
    former = root / FORMER_INDEX
    return former if former.is_file() and not (root / INDEX).is_file() else root / INDEX


def read_records(path: Path) -> list[Record]:
    """Read an index or a list of pairs. Raises `UserError` if it cannot be read or a line is not a record."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return [_parse(path, number, line) for number, line in enumerate(text.splitlines(), start=1)]


def _parse(path: Path, number: int, line: str) -> Record:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        record = None
    if not (isinstance(record, dict) and isinstance(record.get("file"), str)):
        raise UserError(f"{path}: line {number} is not the record of an image (a JSON object with its file)")
    return record


def to_jsonl(records: Iterable[Record]) -> str:
    """The records as text, one a line."""
    return "".join(json.dumps(record) + "\n" for record in records)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write an index or a list of pairs, atomically."""
    write_text_atomic(path, to_jsonl(records))


@report_os_errors()
def find_card(out: Path, work: str) -> Path | None:
    """Path of the card of a complete set in `out`, or of one in progress (in `out/work`); None if `out` is empty.

    Raises `UserError` if `out` holds anything else.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file: choose a folder")
    for card in (out / CARD, out / work / CARD):
        if card.exists():
            return card
    if out.exists() and any(entry.name != work for entry in out.iterdir()):
        raise UserError(f"{out}: is not empty and was not made by this command: choose a new folder")
    return None


def holds_set(out: Path, work: str, card: Record, count: int, description: str) -> bool:
    """Whether `out` holds all `count` images of the set with this card.

    Raises `UserError` if it holds another set, complete or not, or anything else.
    """
    path = find_card(out, work)
    present = len(list(out.glob("*/*/*.png")))
    if path and (present > count or not _is_same(path, card)):
        raise UserError(f"{out}: holds another set than {description}: choose a new folder")
    return path == out / CARD and present == count


def _is_same(path: Path, card: Record) -> bool:
    """Whether the card on disk equals `card`.

    Older cards have no `pairs`. Their counts tell whether the set has pairs.
    """
    try:
        existing = json.loads(path.read_text(encoding="utf-8"))
        return all(existing[name] == value for name, value in card.items() if name != "pairs")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card of a set, atomically."""
    write_json_atomic(path, card)


def counts(records: Sequence[Record], kind: str = "expression") -> Counts:
    """Number of images by split and by what `kind` names in a record."""
    numbers = Counter((record["split"], record[kind]) for record in records)
    return {split: {name: n for (s, name), n in sorted(numbers.items()) if s == split} for split in SPLITS}
