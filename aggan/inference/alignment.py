"""Alignment: where the landmarks of faces lie in a model's training images.

`aggan.inference.landmarks` lists the landmarks. Their coordinates x, y are fractions of the image's side. A training
with the extra `faces` stores the alignment in the model's `config.json` (`face`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from aggan.data.folders import Domain, find, list_images
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square
from aggan.inference.landmarks import FaceFinder, FindFaces
from aggan.inference.translator import model_folder
from aggan.methods.pretrained import CONFIG, read_card
from aggan.training.experiment import FILE, Experiment

Alignment = tuple[tuple[float, float], ...]

DEFAULT_LANDMARKS: Alignment = ((0.755, 0.39), (0.608, 0.395), (0.245, 0.39), (0.392, 0.395), (0.5, 0.666))
"""Where the landmarks lie in the crops of common face detectors."""
_MAX_IMAGES, _SIDE = 60, 256

Item = TypeVar("Item")


def with_margin(alignment: Alignment, margin: float) -> Alignment:
    """The alignment of crops with room on each side; `margin` is a share of the side of the crops without it."""
    return tuple(((x + margin) / (1 + 2 * margin), (y + margin) / (1 + 2 * margin)) for x, y in alignment)


def alignment_of(model: str | Path, find_faces: FindFaces, report: Callable[[str], object]) -> Alignment:
    """The alignment of a model: from its `config.json`, or from its run's training images, or the default.

    `report` gets a sentence if it is the default. Raises `UserError` if there is no such model.
    """
    card = read_card(model_folder(model) / CONFIG)
    if card.face:
        return card.face
    domains = _training_domains(Path(model))
    if alignment := typical_landmarks(_read_squares(domains), find_faces):
        return alignment
    reason = "most of its training images show no face" if domains else "its training images are not there"
    report(
        f"{model}: where faces lie in its training images is not known, as {reason}: assuming the crops of common face "
        "detectors"
    )
    return DEFAULT_LANDMARKS


def alignment_like(folder: Path, find_faces: FindFaces, bits: int | None = None) -> Alignment:
    """The alignment of the images in a folder; 16-bit ones use `bits`, None if that is not known.

    Raises `UserError` if most of them show no face.
    """
    landmarks = typical_landmarks(_read_squares([Domain("", folder, list_images(folder), bits=bits)]), find_faces)
    if landmarks is None:
        raise UserError(f"{folder}: most of its images show no face: choose a folder of training images")
    return landmarks


def measure_alignment(domains: Sequence[UInt8[np.ndarray, "_ size size 3"]]) -> Alignment:
    """The alignment of the training images of each domain, a few seconds' work.

    It is empty if most of them show no face, or if the extra `faces` is not installed or broken.
    """
    try:
        find_faces = FaceFinder()
    except UserError:
        return ()
    sample = _sample([(pixels, index) for pixels in domains for index in range(len(pixels))])
    return typical_landmarks((pixels[index] for pixels, index in sample), find_faces) or ()


def typical_landmarks(
    images: Iterable[UInt8[np.ndarray, "size size 3"] | None], find_faces: FindFaces
) -> Alignment | None:
    """The median landmarks in images (None: unreadable), or None if fewer than half of them show a face."""
    count, faces = 0, []
    for image in images:
        count += 1
        if image is not None:
            faces += [landmarks / len(image) for landmarks in find_faces(image)[:1]]
    if 2 * len(faces) < count or not faces:
        return None
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in np.median(faces, axis=0))


def _sample(items: Sequence[Item]) -> Sequence[Item]:
    """Some of many items, evenly spaced."""
    return items[:: max(1, len(items) // _MAX_IMAGES)][:_MAX_IMAGES]


def _read_squares(domains: Sequence[Domain]) -> Iterator[UInt8[np.ndarray, "size size 3"] | None]:
    """Evenly spaced images of some domains; None for an unreadable one."""
    for domain, file in _sample([(each, file) for each in domains for file in each.files]):
        try:
            yield square(read(file, domain.bits, domain.half), _SIDE)
        except Unreadable:
            yield None


def _training_domains(model: Path) -> Sequence[Domain]:
    for run in (model, model.parent):
        if (run / FILE).is_file():
            try:
                return find(Experiment.load(run).data).train
            except UserError:  # the images were moved or deleted
                break
    return ()
