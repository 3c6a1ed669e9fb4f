"""What a data set knows of its pictures beside their domain: codes and masks.

Both are found through `pictures.jsonl`, which lies at the root of a rendered or a prepared set: one JSON
object a picture, with its `file` below that root. Masks are `masks/face/FILE.png` there.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aggan.data.action_units import GREATEST
from aggan.data.cache import Decoded
from aggan.data.face_ellipse import face_ellipse
from aggan.data.index import INDEX, read_records
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square


def root_of(file: Path) -> Path | None:
    """The nearest folder above a picture that has an index."""
    return next((folder for folder in file.parents if (folder / INDEX).is_file()), None)


@lru_cache(maxsize=4)
def index(root: Path) -> dict[str, dict]:
    """The records of a data set by file; raises `UserError` where a line is none, or its action units no numbers."""
    records = read_records(root / INDEX)
    for number, record in enumerate(records, start=1):
        if not _are_numbers(record.get("action_units") or []):
            raise UserError(f"{root / INDEX}: line {number} has action_units that are no list of numbers")
    return {record["file"]: record for record in records}


def _are_numbers(units: Any) -> bool:
    return isinstance(units, list) and all(isinstance(unit, int | float) and math.isfinite(unit) for unit in units)


def with_action_units(domains: Sequence[Decoded]) -> list[Decoded]:
    """The domains, their pictures' action units in [0, 1] as codes; as they were where no picture has any.

    Raises `UserError` where some pictures have action units and others have none.
    """
    units = [[_record(file).get("action_units") for file in domain.files] for domain in domains]
    if not any(row for rows in units for row in rows):
        return list(domains)
    length = len(next(row for rows in units for row in rows if row))
    return [replace(d, codes=_codes(d, rows, length)) for d, rows in zip(domains, units, strict=True)]


def _codes(domain: Decoded, rows: list[list[float] | None], length: int) -> np.ndarray:
    for file, row in zip(domain.files, rows, strict=True):
        if not row or len(row) != length:
            needed = f"it needs {length} action units in {INDEX}, as other pictures have"
            raise UserError(f"{file}: {needed}: put them there, or remove the picture")
    return np.clip(np.array(rows, np.float32) / GREATEST, 0, 1)


def _record(file: Path) -> dict:
    root = root_of(file)
    return index(root).get(file.relative_to(root).as_posix(), {}) if root else {}


def face_masks(domain: Decoded, size: int) -> np.ndarray:
    """Where the face is in each picture, uint8 (n, size, size): the set's own masks, or one ellipse for all.

    Raises `UserError` where some pictures have a mask and others have none.
    """
    files = [_mask_file(file) for file in domain.files]
    if not any(files):
        ellipse = (face_ellipse(size, size) * 255).round().byte().numpy()
        return np.broadcast_to(ellipse, (len(files), size, size))
    masks = []
    for picture, file in zip(domain.files, files, strict=True):
        if file is None:
            raise UserError(f"{picture}: it has no mask, but other pictures of the domain have one")
        try:
            masks.append(square(read(file), size)[..., 0])
        except Unreadable as why:
            raise UserError(f"a mask cannot be used: {why}") from why
    return np.stack(masks)


def _mask_file(picture: Path) -> Path | None:
    root = root_of(picture)
    file = root / "masks" / "face" / picture.relative_to(root).with_suffix(".png") if root else None
    return file if file and file.is_file() else None
