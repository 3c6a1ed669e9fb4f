"""The prepared set on disk: it grows in `DST/.preparing` and moves to its place when it is whole.

DST/{train,test}/EXPRESSION/NAME.png
DST/pictures.jsonl    one object a picture
DST/dataset.json      what it is; comes last
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.index import CARD, INDEX, SPLITS, Counts, Record, counts, write_card, write_records
from aggan.data.originals import card
from aggan.data.originals.card import Card
from aggan.data.originals.photographs import Found, Photograph
from aggan.data.originals.reading import cut
from aggan.data.originals.settings import Settings
from aggan.errors import UserError
from aggan.images.convert import Unreadable
from aggan.io import goes_on, write_whole

WORK = ".preparing"

Planned = tuple[str, Photograph]
Track = Callable[[list[Planned]], Iterable[Planned]]


def begin(dst: Path, new: Card) -> bool:
    """Make ready to write, or to go on; false where the set is there already. Raises `UserError`."""
    if (dst / CARD).exists():
        card.require_same(dst, new, dst)
        return False
    if (dst / WORK / CARD).exists():
        card.require_same(dst / WORK, new, dst)
        _reopen(dst)
    elif dst.exists() and not (dst.is_dir() and all(entry.name == WORK for entry in dst.iterdir())):
        raise UserError(f"{dst}: is there and was not made by this command: choose a new or an empty folder")
    else:
        write_card(dst / WORK / CARD, new)
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
        with goes_on():
            write_whole(target, lambda path, picture=picture: picture.save(path, "PNG"))
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


def finish(dst: Path, new: Card, whole: list[Record]) -> Counts:
    """Move the whole set to its place; tells the number of pictures of each split and expression."""
    counted = counts(whole)
    write_records(dst / WORK / INDEX, whole)
    for name in (*SPLITS, INDEX):
        if (dst / WORK / name).exists():
            os.replace(dst / WORK / name, dst / name)
    write_card(dst / CARD, {**new, "counts": counted})
    with suppress(OSError):
        (dst / WORK / CARD).unlink()
        (dst / WORK).rmdir()
    return counted


def lacking(dst: Path, planned: list[Record]) -> int:
    """How many planned pictures a whole set does not have."""
    return sum(not (dst / record["file"]).exists() for record in planned)


def _reopen(dst: Path) -> None:
    """Undo a move that was interrupted."""
    for name in SPLITS:
        if (dst / name).exists() and not (dst / WORK / name).exists():
            os.replace(dst / name, dst / WORK / name)
