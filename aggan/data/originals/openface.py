"""Action units from OpenFace 2 (Baltrusaitis et al., FG 2018), as GANimation takes them.

`FaceLandmarkImg` writes a CSV a picture, named after it, a row a face. Its header has blanks after the commas;
`success` is only in the tables of videos.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aggan.data.action_units import GREATEST, UNITS
from aggan.data.listing import files_of
from aggan.errors import UserError

COLUMNS = tuple(f"AU{unit:02}_r" for unit in UNITS)

Row = dict[str, str]
Measured = list[float] | str
"""The strengths of `UNITS`, 0 to 5, or why there are none."""


def read(path: Path, confidence: float) -> dict[str, Measured]:
    """By the name of the picture: of each CSV below a folder, or each row of a CSV with a column `file`.

    Pictures of one name in several folders are known by their place below `path`, or in that column, only. Raises
    `UserError`.
    """
    if path.is_file():
        return _table(path, confidence)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder of OpenFace's CSVs")
    files = files_of(path, (".csv",))
    if not files:
        raise UserError(f"{path}: no CSV here; FaceLandmarkImg -aus -fdir PICTURES -out_dir {path} writes them")
    return _named({file.relative_to(path).with_suffix(""): _rows(file) for file in files}, confidence)


def join(records: Iterable[dict[str, Any]], found: dict[str, Measured]) -> list[str]:
    """Put `action_units` into the records of pictures; tells which got none and why.

    A picture is known by the name of its source, or by its place in the prepared set (`train/happy/NAME`).
    Raises `UserError` where nothing fits.
    """
    without, fitting = [], 0
    for record in records:
        place = Path(record["file"]).with_suffix("").as_posix()
        measured = found.get(place, found.get(Path(record["source"]).stem, "no CSV (or row) of that name"))
        if isinstance(measured, str):
            without.append(f"{record['file']} ({record['source']}): {measured}")
        else:
            record["action_units"] = measured
            fitting += 1
    if not fitting:
        raise UserError(f"OpenFace's results fit no picture, e.g. {without[0]}; there is {min(found)}")
    return without


def _table(path: Path, confidence: float) -> dict[str, Measured]:
    rows = _rows(path)
    if not rows or "file" not in rows[0]:
        # A table without names is that of one picture, or of a video.
        if len({row.get("frame") for row in rows}) > 1:
            raise UserError(f"{path}: its rows do not say which picture they are of; use FaceLandmarkImg, not a video")
        return {path.stem: _best(rows, confidence)}
    pictures: dict[Path, list[Row]] = {}
    for row in rows:
        file = Path(row["file"])
        pictures.setdefault(file.parent / file.stem, []).append(row)
    return _named(pictures, confidence)


def _named(pictures: dict[Path, list[Row]], confidence: float) -> dict[str, Measured]:
    """By place, and by name where it is the only one of that name."""
    times = Counter(place.name for place in pictures)
    found: dict[str, Measured] = {}
    for place, rows in pictures.items():
        found[place.as_posix()] = measured = _best(rows, confidence)
        if times[place.name] == 1:
            found[place.name] = measured
    return found


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as why:
        raise UserError(f"{path}: cannot be read as CSV: {why}") from why
    if not lines:
        return []
    missing = [column for column in ("confidence", *COLUMNS) if column not in lines[0]]
    if missing:
        raise UserError(f"{path}: no column {missing[0]}: not an OpenFace 2 result with action units (-aus)")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            raise UserError(f"{path}: row {number} has {len(line)} of {len(lines[0])} values: it is cut off")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def _best(rows: list[Row], confidence: float) -> Measured:
    """Of the face that OpenFace is surest of."""
    if not rows:
        return "no face found"
    try:
        row = max(rows, key=lambda row: float(row["confidence"]))
        values = [float(row[column]) for column in COLUMNS]
        sure, success = float(row["confidence"]), float(row.get("success", 1))
    except ValueError as why:
        return f"not a number in its row ({why})"
    if success != 1:
        return "OpenFace reports no success"
    if not sure >= confidence:
        return f"confidence {sure:g} is below {confidence:g}"
    if not all(math.isfinite(value) and 0 <= value <= GREATEST for value in values):
        return "action units outside 0 to 5"
    return values
