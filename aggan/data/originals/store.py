"""A prepared set on disk. It grows in `DST/.preparing` and is moved when it is complete.

DST/{train,test}/EXPRESSION/NAME.png
DST/masks/face/{train,test}/EXPRESSION/NAME.png    if there are landmarks
DST/images.jsonl    one record per image
DST/dataset.json    the card of the set; written last
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from aggan.data.index import (
    CARD,
    FACE,
    INDEX,
    MASKS,
    SPLITS,
    VERSION,
    Counts,
    Record,
    counts,
    write_card,
    write_records,
)
from aggan.data.originals.masks import face_mask, is_inside
from aggan.data.originals.settings import Settings
from aggan.data.originals.source import Selection, SourceImage
from aggan.errors import UserError
from aggan.images.decode import Unreadable
from aggan.io import resumable, write_atomic

WORK = ".preparing"

Card = dict[str, Any]
Planned = tuple[str, SourceImage]
ReadImage = Callable[[SourceImage], UInt8[np.ndarray, "size size 3"]]
Track = Callable[[list[Planned]], Iterable[Planned]]


def make_card(name: str, settings: Settings, selection: Selection) -> Card:
    """The card of a set, without the counts of its images. `plan` is a digest of its images and their sources."""
    plan = hashlib.sha256()
    for split, image in selection.images():
        plan.update(f"{image.output(split)}\0{image.file.name}\n".encode())
    return {
        "name": name,
        "version": VERSION,
        "source": settings.title,
        **settings.model_dump(include={"seed", "size"}),
        "settings": settings.model_dump(mode="json"),
        "plan": plan.hexdigest()[:32],
    }


def make_records(selection: Selection) -> list[Record]:
    """The records of the images, as in `images.jsonl`."""
    return [
        {
            "file": image.output(split),
            "split": split,
            "expression": image.expression,
            "person": image.person,
            **image.details,
            "source": image.file.name,
        }
        for split, image in selection.images()
    ]


def start(dst: Path, card: Card) -> bool:
    """Start or resume a preparation. Returns False if the set is complete.

    Raises `UserError` if `dst` holds anything else, or a set of another card.
    """
    if (dst / CARD).exists():
        _require_same(dst / CARD, card, dst)
        return False
    if (dst / WORK / CARD).exists():
        _require_same(dst / WORK / CARD, card, dst)
        _move_back(dst)
    elif dst.exists() and not (dst.is_dir() and all(entry.name == WORK for entry in dst.iterdir())):
        raise UserError(f"{dst}: exists and was not made by this command: choose a new or an empty folder")
    else:
        write_card(dst / WORK / CARD, card)
    return True


def _require_same(path: Path, card: Card, dst: Path) -> None:
    """Raise `UserError` unless the card on disk has the same data set, settings and plan."""
    existing = _read_card(path)
    before, now = ({"data set": card["name"], **card["settings"]} for card in (existing, card))
    for key in now:
        if before.get(key) != now[key]:
            difference = f"was made with {key} {before.get(key)}, not {now[key]}"
            raise UserError(f"{dst}: {difference}: choose another folder or remove this one")
    if existing.get("plan") != card["plan"]:
        raise UserError(f"{dst}: was made from other images than the source has now: choose another folder")


def _read_card(path: Path) -> Card:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not (isinstance(card, dict) and isinstance(card.get("settings"), dict) and "name" in card):
        raise UserError(f"{path}: was not made by this command: choose another folder")
    return card


def _move_back(dst: Path) -> None:
    """Undo an interrupted move of the complete set."""
    for name in (*SPLITS, MASKS):
        if (dst / name).exists() and not (dst / WORK / name).exists():
            os.replace(dst / name, dst / WORK / name)


def write_images(dst: Path, read: ReadImage, selection: Selection, track: Track) -> list[str]:
    """Write the images that do not exist yet. Returns what is unreadable, and why.

    `read` returns the pixels of an image as the set keeps them, or raises `Unreadable`.
    """
    unreadable = []
    for split, source in track(selection.images()):
        target = dst / WORK / source.output(split)
        if target.exists():
            continue
        try:
            image = Pillow.fromarray(read(source))
        except Unreadable as error:
            unreadable.append(str(error))
            continue
        with resumable():
            write_atomic(target, lambda path, image=image: image.save(path, "PNG"))
    return unreadable


def write_masks(root: Path, records: list[Record], size: int) -> list[str]:
    """Write the face masks of the images with landmarks, and remove any other. Returns the images without, and why."""
    without = []
    for record in records:
        target, landmarks = root / MASKS / FACE / record["file"], record.get("landmarks")
        if landmarks and is_inside(landmarks, size):
            mask = Pillow.fromarray(face_mask(landmarks, size))
            with resumable():
                write_atomic(target, lambda path, mask=mask: mask.save(path, "PNG"))
        else:
            target.unlink(missing_ok=True)
            reason = "its landmarks lie outside the image" if landmarks else "no landmarks"
            without.append(f"{record['file']} ({record['source']}): {reason}")
    return without


def written(dst: Path, records: list[Record]) -> list[Record]:
    """The records of the images that exist, before `finish`."""
    return [record for record in records if (dst / WORK / record["file"]).exists()]


def finish(dst: Path, card: Card, records: list[Record]) -> Counts:
    """Move the complete set to `dst` and write its index and card. Returns the counts of its images."""
    numbers = counts(records)
    write_records(dst / WORK / INDEX, records)
    for name in (*SPLITS, MASKS, INDEX):
        if (dst / WORK / name).exists():
            os.replace(dst / WORK / name, dst / name)
    write_card(dst / CARD, {**card, "counts": numbers})
    with suppress(OSError):
        (dst / WORK / CARD).unlink()
        (dst / WORK).rmdir()
    return numbers


def count_missing(dst: Path, records: list[Record]) -> int:
    """Number of images that a complete set lacks, as they were left out."""
    return sum(not (dst / record["file"]).exists() for record in records)
