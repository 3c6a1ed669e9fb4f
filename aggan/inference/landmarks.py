"""Face detection with five landmarks: dlib's detector and the CC0 weights of `face_recognition_models`.

The landmarks of a face are the outer and inner corner of the eye that is on the right in the image, the outer and
inner corner of the other eye, and the base of the nose. They are an array (5, 2) of x, y in pixels. Needs the extra
`faces`.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image as Pillow

from aggan.extras import import_failure, missing_module, require_module

PURPOSE = "finding faces"
FindFaces = Callable[[UInt8[np.ndarray, "h w 3"]], list[Float64[np.ndarray, "p 2"]]]
"""Returns the landmarks of each face in an image."""
_MIN_SIDE = 480
"""Smaller images are enlarged to this: the detector finds faces from 80 pixels on."""
_MAX_PIXELS = 8_000_000
"""Larger images are reduced to this: detection then takes seconds."""
_MARGIN = 4
"""1/4 of the shorter side is padded on each side, because the detector misses faces at the edge."""


class Face(NamedTuple):
    """A face that was found."""

    landmarks: Float64[np.ndarray, "5 2"]
    score: float
    """The detector's confidence: 0 is its threshold, clear frontal faces have 1 and more."""


class FaceFinder:
    """Finds every face of an image."""

    def __init__(self) -> None:
        """Raises `UserError` if the extra `faces` is not installed."""
        dlib = require_module("dlib", "faces", PURPOSE)
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat", PURPOSE)))

    def __call__(self, pixels: UInt8[np.ndarray, "h w 3"]) -> list[Float64[np.ndarray, "5 2"]]:
        """The landmarks of each face, the largest face first."""
        return [face.landmarks for face in self.detect(pixels)]

    def detect(self, pixels: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Each face, the largest first."""
        height, width = pixels.shape[:2]
        scale = min(max(1.0, _MIN_SIDE / min(height, width)), (_MAX_PIXELS / (height * width)) ** 0.5)
        if scale != 1:
            size = (round(width * scale), round(height * scale))
            pixels = np.asarray(Pillow.fromarray(pixels).resize(size, Pillow.Resampling.BICUBIC))
        margin = min(pixels.shape[:2]) // _MARGIN
        padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        boxes, scores, _ = self._detect.run(padded, 0, 0.0)
        faces = []
        for box, score in sorted(zip(boxes, scores, strict=True), key=lambda face: -face[0].area()):
            points = [(point.x, point.y) for point in self._predict(padded, box).parts()]
            # The centre of the first pixel is at 0.5, as everywhere in this package.
            faces.append(Face((np.array(points, np.float64) + 0.5 - margin) / scale, float(score)))
        return faces


def model_file(name: str, purpose: str) -> Path:
    """The path of a file of `face_recognition_models`. Raises `UserError` if the package or the file is missing."""
    # Not imported: the package's own code needs a module that newer versions of setuptools lack.
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise missing_module("face_recognition_models", "faces", purpose)
    file = Path(package.origin).parent / "models" / name
    if not file.is_file():
        raise import_failure(FileNotFoundError(f"{file} is missing"), "face_recognition_models", "faces", purpose)
    return file
