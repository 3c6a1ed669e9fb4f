"""Action units and landmarks from OpenFace 2 (Baltrusaitis et al., FG 2018): for GANimation, and ContrastGAN's masks.

`FaceLandmarkImg` writes one CSV file per image, named after it, with one row per face. Its header has blanks after the
commas. Only the tables of videos have a column `success`.
"""

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import NamedTuple

from aggan.data.action_units import GREATEST, UNITS
from aggan.data.index import Record
from aggan.data.listing import list_files, name_below
from aggan.data.originals.masks import Landmarks
from aggan.errors import UserError
from aggan.io import normalized

COLUMNS = tuple(f"AU{unit:02}_r" for unit in UNITS)
LANDMARKS = tuple((f"x_{point}", f"y_{point}") for point in range(68))
"""Columns of the landmarks, which a result may lack."""

Row = dict[str, str]


class Face(NamedTuple):
    """What OpenFace measured of a face."""

    action_units: list[float]
    """Intensities of `UNITS`, 0 to 5."""
    landmarks: Landmarks | None
    """In pixels of the image that was measured."""


Result = Face | str
"""A face, or the reason why there is none."""


def unchanged(record: Record, landmarks: Landmarks) -> Landmarks | None:
    """The default of `to_prepared`."""
    return landmarks


def read(path: Path, confidence: float) -> dict[str, Result]:
    """Read the results by image name: of each CSV file below a folder, or each row of a CSV file with a column `file`.

    If several folders have images of the same name, their results are found by their path below `path`, or in the
    column `file`, only. Raises `UserError` if there is no CSV file, or one is not of OpenFace.
    """
    if path.is_file():
        return _read_table(path, confidence)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder of OpenFace's CSVs")
    files = list_files(path, (".csv",))
    if not files:
        raise UserError(f"{path}: no CSV here; FaceLandmarkImg -aus -fdir IMAGES -out_dir {path} writes them")
    return _by_name({name_below(file, path): _read_rows(file) for file in files}, confidence)


def join(
    records: Iterable[Record],
    results: dict[str, Result],
    to_prepared: Callable[[Record, Landmarks], Landmarks | None] = unchanged,
) -> list[str]:
    """Add `action_units` and `landmarks` to the records of images. Returns the images without action units, and why.

    The result of an image is found by its path in the prepared set (`train/happy/NAME`) or by the name of its source.
    `to_prepared` converts the landmarks of a source to pixels of the prepared image. Raises `UserError` if no image has
    a result.
    """
    without, joined = [], 0
    for record in records:
        path = normalized(Path(record["file"]).with_suffix("").as_posix())
        name = normalized(Path(record["source"]).stem)
        result = results.get(path, results.get(name, "no CSV (or row) of that name"))
        if isinstance(result, str):
            without.append(f"{record['file']} ({record['source']}): {result}")
            continue
        record["action_units"] = result.action_units
        joined += 1
        landmarks = result.landmarks
        if landmarks and path not in results:
            landmarks = to_prepared(record, landmarks)
        if landmarks:
            record["landmarks"] = [[round(coordinate, 2) for coordinate in point] for point in landmarks]
    if not joined:
        raise UserError(f"OpenFace's results match no image, e.g. {without[0]}; there is one for {min(results)}")
    return without


def _read_table(path: Path, confidence: float) -> dict[str, Result]:
    rows = _read_rows(path)
    if not rows or "file" not in rows[0]:
        # A table without file names is of one image, or of a video.
        if len({row.get("frame") for row in rows}) > 1:
            raise UserError(f"{path}: its rows do not name their images; use FaceLandmarkImg, not a video")
        return {normalized(path.stem): _result(rows, confidence)}
    images: dict[PurePath, list[Row]] = {}
    for row in rows:
        file = PurePath(normalized(row["file"]))
        images.setdefault(file.parent / file.stem, []).append(row)
    return _by_name(images, confidence)


def _by_name(images: dict[PurePath, list[Row]], confidence: float) -> dict[str, Result]:
    """The results by path, and by name if it is unique."""
    times = Counter(path.name for path in images)
    results: dict[str, Result] = {}
    for path, rows in images.items():
        results[path.as_posix()] = result = _result(rows, confidence)
        if times[path.name] == 1:
            results[path.name] = result
    return results


def _read_rows(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV: {error}") from error
    if not lines:
        return []
    missing = [column for column in ("confidence", *COLUMNS) if column not in lines[0]]
    if missing:
        raise UserError(f"{path}: no column {missing[0]}: not an OpenFace 2 result with action units (-aus)")
    absent = [column for point in LANDMARKS for column in point if column not in lines[0]]
    if absent and len(absent) < 2 * len(LANDMARKS):
        raise UserError(f"{path}: no column {absent[0]}, but other landmarks: run OpenFace again with -2Dfp")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(lines[0]):
            raise UserError(f"{path}: row {number} has {len(line)} of {len(lines[0])} values: the file is incomplete")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def _result(rows: list[Row], confidence: float) -> Result:
    """The result for the face with the highest confidence."""
    if not rows:
        return "no face found"
    try:
        row = max(rows, key=lambda row: float(row["confidence"]))
        values = [float(row[column]) for column in COLUMNS]
        # OpenFace counts from the centre of the first pixel.
        landmarks = [[float(row[x]) + 0.5, float(row[y]) + 0.5] for x, y in LANDMARKS if x in row]
        confidence_of_face, success = float(row["confidence"]), float(row.get("success", 1))
    except ValueError as error:
        return f"a value is not a number ({error})"
    if success != 1:
        return "OpenFace reports no success"
    if not confidence_of_face >= confidence:
        return f"confidence {confidence_of_face:g} is below {confidence:g}"
    if not all(math.isfinite(value) and 0 <= value <= GREATEST for value in values):
        return "action units outside 0 to 5"
    if not all(math.isfinite(coordinate) for point in landmarks for coordinate in point):
        return "landmarks that are not finite"
    return Face(values, landmarks or None)
