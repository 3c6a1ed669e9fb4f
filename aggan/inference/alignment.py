"""Alignment: where the landmarks of faces lie in a model's training images.

`aggan.inference.landmarks` lists the landmarks. Their coordinates x, y are fractions of the image's side.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aggan.data.folders import find, list_images
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square
from aggan.inference.landmarks import FindFaces
from aggan.inference.translator import model_folder
from aggan.methods.pretrained import CONFIG, read_card
from aggan.training.experiment import FILE, Experiment

Alignment = tuple[tuple[float, float], ...]

DEFAULT_LANDMARKS: Alignment = ((0.755, 0.39), (0.608, 0.395), (0.245, 0.39), (0.392, 0.395), (0.5, 0.666))
"""Where the landmarks lie in the crops of common face detectors."""
_MAX_IMAGES, _SIDE = 60, 256


def alignment_of(model: str | Path, find_faces: FindFaces) -> Alignment:
    """The alignment of a model: from its `config.json`, or from its run's training images, or the default.

    Raises `UserError` if there is no such model.
    """
    card = read_card(model_folder(model) / CONFIG)
    return card.face or typical_landmarks(_training_images(Path(model)), find_faces) or DEFAULT_LANDMARKS


def alignment_like(folder: Path, find_faces: FindFaces) -> Alignment:
    """The alignment of the images in a folder. Raises `UserError` if most of them show no face."""
    landmarks = typical_landmarks(list_images(folder), find_faces)
    if landmarks is None:
        raise UserError(f"{folder}: most of its images show no face: choose a folder of training images")
    return landmarks


def typical_landmarks(files: Sequence[Path], find_faces: FindFaces) -> Alignment | None:
    """The median landmarks in the centred squares of these images, or None if fewer than half of them show a face."""
    sample = files[:: max(1, len(files) // _MAX_IMAGES)][:_MAX_IMAGES]
    faces = []
    for file in sample:
        try:
            faces += [landmarks / _SIDE for landmarks in find_faces(square(read(file), _SIDE))[:1]]
        except Unreadable:
            continue
    if 2 * len(faces) < len(sample) or not faces:
        return None
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in np.median(faces, axis=0))


def _training_images(model: Path) -> Sequence[Path]:
    for run in (model, model.parent):
        if (run / FILE).is_file():
            try:
                return [file for domain in find(Experiment.load(run).data).train for file in domain.files]
            except UserError:  # the images were moved or deleted
                break
    return []
