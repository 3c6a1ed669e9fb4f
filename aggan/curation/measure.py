"""Measurements of photographs: the face, its quality, its identity and its expression.

They are kept in a file as they are made, one JSON object a line, so that an interrupted sorting continues and another
sorting of the same photographs is quick.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from aggan.curation.appearance import MARGIN, SIDE, appearance, chroma, sharpness
from aggan.curation.crops import Landmarks, crop, crops, place
from aggan.data.listing import report_os_errors
from aggan.evaluation.classifier_choice import find_photograph_classifier
from aggan.evaluation.classifiers import IdentityModel
from aggan.evaluation.photographs import CROP_SIZE, PhotographClassifier, PhotographIdentityModel
from aggan.images.convert import Unreadable, read, to_tensor
from aggan.inference.alignment import DEFAULT_LANDMARKS
from aggan.inference.landmarks import Face, FaceFinder

VERSION = 1
"""Of the measurements. Lines of other versions are ignored."""
UNREADABLE, NO_FACE, SEVERAL = "unreadable", "no face", "several faces"
_EXPRESSION_MARGINS = (-0.1, 0.0, 0.1)
"""The expression is the mean over crops with these margins and their mirror images: tried on portraits."""
_EXPRESSION_SIDE = 64
SHARPNESS_SIDES = (64, 128)
"""Sides in pixels of the tight crops whose sharpness is measured."""
_THUMBNAIL = 16
"""Side in pixels of the grey thumbnail that shows copies."""
_SECOND_FACE = 0.5
"""A photograph shows several faces if the second one has at least this share of the first one's side (our choice)."""

Pixels = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Instruments:
    """The networks that measure a photograph."""

    detect: Callable[[Pixels], list[Face]]
    """The faces of a photograph, the largest first."""
    identity: IdentityModel
    smile: Callable[[UInt8[np.ndarray, "n h w 3"]], Float[np.ndarray, " n"]] | None
    """The probability of a smile in each of some face crops; None if expressions are not needed."""


def load_instruments(expressions: bool) -> Instruments:
    """dlib's detector and identity vectors, and the classifier of photographs if expressions are needed.

    Raises `UserError` if the extra `faces` or the classifier's file is missing.
    """
    find, identity = FaceFinder(), PhotographIdentityModel()
    if not expressions:
        return Instruments(find.detect, identity, None)
    classifier = PhotographClassifier(find_photograph_classifier())
    happy = classifier.classes.index("happy")
    return Instruments(find.detect, identity, lambda images: classifier.probabilities(images)[:, happy])


@dataclass(frozen=True)
class Measurement:
    """What is known about one photograph. Everything but `file` and `stamp` is empty if there is a `problem`."""

    file: str
    stamp: tuple[int, int]
    """Size in bytes and time of the last change: a changed file is measured again."""
    problem: str = ""
    """`UNREADABLE`, `NO_FACE` or `SEVERAL`."""
    detail: str = ""
    landmarks: list[list[float]] = field(default_factory=list)
    """x, y in the photograph's pixels."""
    confidence: float = 0.0
    """The face detector's."""
    side: float = 0.0
    """Of the tightest crop, in the photograph's pixels."""
    misfit: float = 0.0
    """Root mean square distance of the landmarks from those of the alignment, as a share of the crop's side."""
    turn: float = 0.0
    """Distance of the nose from the middle of the eyes along the line of the eyes, in distances of the eyes."""
    nod: float = 0.0
    """The same at right angles to that line."""
    sharpness: list[float] = field(default_factory=list)
    """At each of `SHARPNESS_SIDES`."""
    chroma: float = 0.0
    smile: float | None = None
    """Probability of a smile; None if it was not needed."""
    identity: list[float] = field(default_factory=list)
    """A vector of length 1."""
    thumbnail: str = ""
    """Grey values of the face, in hexadecimal digits."""
    appearance: dict[str, float] = field(default_factory=dict)

    @property
    def grey_values(self) -> Float[np.ndarray, " n"]:
        """Those of the thumbnail, 0 to 255."""
        return np.frombuffer(bytes.fromhex(self.thumbnail), np.uint8).astype(np.float64)


def stamp_of(file: Path) -> tuple[int, int]:
    """Size and time of the last change; (0, 0) if the file cannot be looked at."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def measure(file: Path, instruments: Instruments) -> Measurement:
    """Measure one photograph."""
    name, stamp = str(file), stamp_of(file)
    try:
        pixels = np.array(read(file))
    except Unreadable as error:
        return Measurement(name, stamp, UNREADABLE, str(error).removeprefix(f"{file}: "))
    faces = instruments.detect(pixels)
    if not faces:
        return Measurement(name, stamp, NO_FACE)
    side, face = max(((_tight_side(face.landmarks), face) for face in faces), key=lambda item: item[0])
    similar = sum(_tight_side(each.landmarks) >= _SECOND_FACE * side for each in faces)
    if similar > 1:
        return Measurement(name, stamp, SEVERAL, f"{similar} of similar size")
    landmarks, photograph = face.landmarks, to_tensor(pixels)[None]
    tight = crop(photograph, landmarks, CROP_SIZE, 0.0)
    wide = crop(photograph, landmarks, SIDE, MARGIN)
    small = crop(photograph, landmarks, _THUMBNAIL, 0.0)
    turn, nod = pose(landmarks)
    return Measurement(
        name,
        stamp,
        landmarks=landmarks.round(2).tolist(),
        confidence=round(face.score, 3),
        side=round(side, 1),
        misfit=round(misfit(landmarks), 4),
        turn=round(turn, 4),
        nod=round(nod, 4),
        sharpness=[round(sharpness(crop(photograph, landmarks, size, 0.0)), 4) for size in SHARPNESS_SIDES],
        chroma=round(chroma(wide), 2),
        smile=_smile(photograph, landmarks, instruments),
        identity=instruments.identity.embed(tight[None])[0].round(4).tolist(),
        thumbnail=small.mean(axis=2).astype(np.uint8).tobytes().hex(),
        appearance={feature: round(value, 4) for feature, value in appearance(wide).items()},
    )


def _smile(photograph: Any, landmarks: Landmarks, instruments: Instruments) -> float | None:
    if instruments.smile is None:
        return None
    images = crops(photograph, landmarks, _EXPRESSION_SIDE, _EXPRESSION_MARGINS)
    return round(float(instruments.smile(np.concatenate((images, images[:, :, ::-1]))).mean()), 4)


def _tight_side(landmarks: Landmarks) -> float:
    return abs(place(landmarks, 1, 0.0).linear)


def misfit(landmarks: Landmarks) -> float:
    """How far landmarks are from those of an upright face of any place, size and roll."""
    transform = place(landmarks, 1, 0.0)
    expected = transform.linear * (np.array(DEFAULT_LANDMARKS) @ (1, 1j)) + transform.offset
    distances = np.abs(expected - landmarks @ (1, 1j)) / abs(transform.linear)
    return float(np.sqrt((distances**2).mean()))


def pose(landmarks: Landmarks) -> tuple[float, float]:
    """Where the nose lies from the middle of the eyes: along their line and at right angles to it, in eye distances."""
    points = landmarks @ (1, 1j)
    right_eye, left_eye = points[:2].mean(), points[2:4].mean()
    nose = (points[4] - (right_eye + left_eye) / 2) / (right_eye - left_eye)
    return float(nose.real), float(nose.imag)


class Journal:
    """The file of measurements. Lines are appended one by one; an incomplete last line is ignored."""

    def __init__(self, path: Path, expressions: bool) -> None:
        """Read what there is. Measurements without an expression are ignored if `expressions` are needed.

        Unreadable files are tried again: another extra may be installed by now.
        """
        self._path, self._needs_line_end = path, False
        self._known: dict[tuple[str, tuple[int, int]], Measurement] = {}
        with report_os_errors():
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        for line in lines:
            measurement = _parse(line)
            if measurement is None or measurement.problem == UNREADABLE:
                continue
            if measurement.problem or measurement.smile is not None or not expressions:
                self._known[measurement.file, measurement.stamp] = measurement
        self._needs_line_end = bool(lines) and not lines[-1].endswith(b"\n")

    def find(self, file: Path) -> Measurement | None:
        """The measurement of a file, unless it changed since."""
        return self._known.get((str(file), stamp_of(file)))

    def append(self, measurement: Measurement) -> None:
        """Add a measurement and write it to the disk."""
        line = json.dumps({"version": VERSION, **asdict(measurement)}) + "\n"
        with report_os_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + line if self._needs_line_end else line)
                file.flush()
                os.fsync(file.fileno())
        self._needs_line_end = False
        self._known[measurement.file, measurement.stamp] = measurement


def _parse(line: bytes) -> Measurement | None:
    try:
        record = json.loads(line)
        if record.pop("version") != VERSION:
            return None
        return Measurement(**{**record, "stamp": tuple(record["stamp"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
