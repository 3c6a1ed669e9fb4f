"""The prepared set on disk: it grows in `DST/.preparing` and moves to its place when it is whole.

DST/{train,test}/EXPRESSION/NAME.png
DST/pictures.jsonl    one object a picture
DST/dataset.json      what it is; comes last
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from aggan.data.images import Unreadable
from aggan.data.prepare import card
from aggan.data.prepare.card import Card
from aggan.data.prepare.photographs import SPLITS, Found, Photograph
from aggan.data.prepare.reading import cut
from aggan.data.prepare.settings import Settings
from aggan.errors import UserError
from aggan.systems.files import write_whole

WORK, INDEX = ".preparing", "pictures.jsonl"

Record = dict[str, Any]
Planned = tuple[str, Photograph]
Track = Callable[[list[Planned]], Iterable[Planned]]


def begin(dst: Path, new: Card) -> bool:
    """Make ready to write, or to go on; false where the set is there already. Raises `UserError`."""
    if (dst / card.FILE).exists():
        card.require_same(dst, new, dst)
        return False
    if (dst / WORK / card.FILE).exists():
        card.require_same(dst / WORK, new, dst)
        _reopen(dst)
    elif dst.exists() and not (dst.is_dir() and all(entry.name == WORK for entry in dst.iterdir())):
        raise UserError(f"{dst}: is there and was not made by this command: choose a new or an empty folder")
    else:
        card.save(dst / WORK, new)
    return True


def make(dst: Path, settings: Settings, found: Found, track: Track) -> list[str]:
    """Write the pictures that are not there yet; tells which could not be read."""
    unreadable = []
    for split, photograph in track(found.planned()):
        target = dst / WORK / photograph.place(split)
        if target.exists():
            continue
        try:
            picture = Pillow.fromarray(cut(photograph.source, settings.crop, settings.size))
        except Unreadable as why:
            unreadable.append(str(why))
            continue
        try:
            write_whole(target, lambda path, picture=picture: picture.save(path, "PNG"))
        except UserError as why:
            raise UserError(f"{why}; once that is mended, the same command goes on from here") from why
    return unreadable


def records(found: Found) -> list[Record]:
    """What `pictures.jsonl` says about each picture that is planned."""
    return [
        {
            "file": photograph.place(split),
            "split": split,
            "expression": photograph.expression,
            "person": photograph.person,
            **photograph.details,
            "source": photograph.source.name,
        }
        for split, photograph in found.planned()
    ]


def made(dst: Path, planned: list[Record]) -> list[Record]:
    """The records of the pictures that are there, before the set moves to its place."""
    return [record for record in planned if (dst / WORK / record["file"]).exists()]


def finish(dst: Path, new: Card, whole: list[Record]) -> dict[str, dict[str, int]]:
    """Move the whole set to its place; tells the number of pictures of each split and expression."""
    times = Counter((record["split"], record["expression"]) for record in whole)
    counts = {split: {name: n for (s, name), n in sorted(times.items()) if s == split} for split in SPLITS}
    write_index(dst / WORK, whole)
    for name in (*SPLITS, INDEX):
        if (dst / WORK / name).exists():
            os.replace(dst / WORK / name, dst / name)
    card.save(dst, {**new, "counts": counts})
    with suppress(OSError):
        (dst / WORK / card.FILE).unlink()
        (dst / WORK).rmdir()
    return counts


def write_index(folder: Path, whole: list[Record]) -> None:
    """Write `pictures.jsonl`."""
    lines = "".join(json.dumps(record) + "\n" for record in whole)
    write_whole(folder / INDEX, lambda path: path.write_text(lines, encoding="utf-8"))


def read_index(dst: Path) -> list[Record]:
    """Read `pictures.jsonl` of a whole set; raises `UserError`."""
    try:
        return [json.loads(line) for line in (dst / INDEX).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as why:
        raise UserError(f"{dst / INDEX}: cannot be read: {why}; remove {dst} to make it anew") from why


def lacking(dst: Path, planned: list[Record]) -> int:
    """How many planned pictures a whole set does not have."""
    return sum(not (dst / record["file"]).exists() for record in planned)


def _reopen(dst: Path) -> None:
    """Undo a move that was interrupted."""
    for name in SPLITS:
        if (dst / name).exists() and not (dst / WORK / name).exists():
            os.replace(dst / name, dst / WORK / name)
