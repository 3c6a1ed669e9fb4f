"""Annotations of images beside their domain: action units and face masks.

A rendered or prepared set has an index at its root (`aggan.data.index`) with the `action_units` of each image, and
its masks in `masks/face/FILE.png`.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from aggan.data.action_units import GREATEST
from aggan.data.cache import DecodedDomain
from aggan.data.face_ellipse import face_ellipse
from aggan.data.index import FACE, INDEX, MASKS, Record, index_file, read_records
from aggan.errors import UserError
from aggan.images.decode import Unreadable, read, square
from aggan.io import normalized


def root_of(file: Path) -> Path | None:
    """The root of an image's data set: the nearest parent folder with an index."""
    return next((folder for folder in file.parents if index_file(folder).is_file()), None)


@lru_cache(maxsize=4)
def records_of(root: Path) -> dict[str, Record]:
    """The records of a data set by file.

    Raises `UserError` if a line is not a record, or its action units are not a list of numbers.
    """
    index = index_file(root)
    records = read_records(index)
    for number, record in enumerate(records, start=1):
        if not _are_numbers(record.get("action_units") or []):
            raise UserError(f"{index}: line {number}: action_units must be a list of numbers")
    return {normalized(record["file"]): record for record in records}


def _are_numbers(units: object) -> bool:
    return isinstance(units, list) and all(isinstance(unit, int | float) and math.isfinite(unit) for unit in units)


def with_action_units(domains: Sequence[DecodedDomain]) -> list[DecodedDomain]:
    """The domains with action units, scaled to [0, 1], as codes; without codes if no image has action units.

    Raises `UserError` if only some images have action units.
    """
    units = [[_record_of(file).get("action_units") for file in domain.files] for domain in domains]
    if not any(row for rows in units for row in rows):
        return list(domains)
    length = len(next(row for rows in units for row in rows if row))
    return [replace(d, codes=_codes(d, rows, length)) for d, rows in zip(domains, units, strict=True)]


def _codes(domain: DecodedDomain, rows: list[list[float] | None], length: int) -> Float32[np.ndarray, "n m"]:
    for file, row in zip(domain.files, rows, strict=True):
        if not row or len(row) != length:
            raise UserError(
                f"{file}: it needs {length} action units in {INDEX}, as other images have: "
                "add them there, or remove the image"
            )
    return np.clip(np.array(rows, np.float32) / GREATEST, 0, 1)


def _record_of(file: Path) -> Record:
    root = root_of(file)
    return records_of(root).get(normalized(file.relative_to(root).as_posix()), {}) if root else {}


def face_masks(domain: DecodedDomain, size: int) -> UInt8[np.ndarray, "n {size} {size}"]:
    """Masks of the faces, 255 inside: the data set's own masks, or the same ellipse for every image.

    Raises `UserError` if only some images have a mask, or a mask cannot be read.
    """
    files = [_mask_file(file) for file in domain.files]
    if not any(files):
        ellipse = (face_ellipse(size, size) * 255).round().byte().numpy()
        return np.broadcast_to(ellipse, (len(files), size, size))
    masks = []
    for image, file in zip(domain.files, files, strict=True):
        if file is None:
            raise UserError(f"{image}: it has no mask, but other images of the domain have one")
        try:
            masks.append(square(read(file, half=domain.half), size)[..., 0])
        except Unreadable as error:
            raise UserError(f"a mask cannot be used: {error}") from error
    return np.stack(masks)


def _mask_file(image: Path) -> Path | None:
    root = root_of(image)
    if root is None:
        return None
    name = image.relative_to(root).with_suffix(".png").as_posix()
    # Disks and archives keep either Unicode form.
    files = (root / MASKS / FACE / form for form in (name, normalized(name), unicodedata.normalize("NFD", name)))
    return next((file for file in files if file.is_file()), None)
