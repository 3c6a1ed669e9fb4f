"""Where faces are: dlib's detector, and five landmarks (CC0 weights of `face_recognition_models`). The extra `faces`.

The landmarks are the outer and inner corner of the eye that lies right in the picture, of the one that lies left,
and the base of the nose; in pixels, (5, 2), x first.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.extras import missing, needed
from aggan.images.convert import Unreadable, read, square

Points = tuple[tuple[float, float], ...]

DOING = "finding faces"
USUAL = ((0.755, 0.39), (0.608, 0.395), (0.245, 0.39), (0.392, 0.395), (0.5, 0.666))
"""Where the landmarks lie in the crops of a usual face detector, in shares of the side."""
_SMALLEST = 480
"""Pictures are enlarged to this: the detector finds faces from 80 pixels on."""
_LARGEST = 8_000_000
"""Pixels; larger pictures are reduced, which takes seconds instead of tens of them."""
_MARGIN = 4
"""So manieth part of the shorter side is added all around: faces at the edge would be missed."""
_LOOKED_AT, _SIDE = 60, 256


class FaceFinder:
    """Finds every face of a picture."""

    def __init__(self) -> None:
        """Raises `UserError` where the extra is not installed."""
        dlib = needed("dlib", "faces", DOING)
        self._detect = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat", DOING)))

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Landmarks of each face in a picture (height, width, 3) of uint8, the largest face first."""
        height, width = pixels.shape[:2]
        scale = min(max(1.0, _SMALLEST / min(height, width)), (_LARGEST / (height * width)) ** 0.5)
        if scale != 1:
            size = (round(width * scale), round(height * scale))
            pixels = np.asarray(Pillow.fromarray(pixels).resize(size, Pillow.Resampling.BICUBIC))
        margin = min(pixels.shape[:2]) // _MARGIN
        padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        boxes = sorted(self._detect(padded, 0), key=lambda box: -box.area())
        shapes = [[(point.x, point.y) for point in self._shape(padded, box).parts()] for box in boxes]
        # Pixels are counted from their corners, as everywhere here.
        return [(np.array(shape, np.float64) + 0.5 - margin) / scale for shape in shapes]


def model_file(name: str, doing: str) -> Path:
    """A file of `face_recognition_models`; raises `UserError` where it is not installed."""
    # Found, not imported: the package's own code needs a module that setuptools no longer has.
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise missing("face_recognition_models", "faces", doing)
    return Path(package.origin).parent / "models" / name


def usual_place(files: Sequence[Path], finder: FaceFinder) -> Points | None:
    """Where the landmarks lie in most of these pictures' centred squares, in shares of the side.

    None where fewer than half of them show a face.
    """
    chosen = files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]
    found = []
    for file in chosen:
        try:
            found += [shape / _SIDE for shape in finder(square(read(file), _SIDE))[:1]]
        except Unreadable:
            continue
    if 2 * len(found) < len(chosen) or not found:
        return None
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in np.median(found, axis=0))
