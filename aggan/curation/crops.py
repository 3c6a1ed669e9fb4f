"""Aligned crops of faces: those of `aggan translate --faces`, with some room around them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from aggan.images.convert import to_pixels
from aggan.inference.alignment import DEFAULT_LANDMARKS
from aggan.inference.faces import Similarity, crop_face

Landmarks = Float64[np.ndarray, "5 2"]


def place(landmarks: Landmarks, size: int, margin: float) -> Similarity:
    """The map from the pixels of a crop with this side and margin to the photograph's."""
    alignment = (np.array(DEFAULT_LANDMARKS) + margin) / (1 + 2 * margin)
    return Similarity.fit(alignment * size, landmarks)


def crop(
    photograph: Float[Tensor, "1 3 h w"], landmarks: Landmarks, size: int, margin: float
) -> UInt8[np.ndarray, "size size 3"]:
    """The aligned face. `margin` is the room on each side, as a share of the tightest crop's side."""
    return to_pixels(crop_face(photograph, place(landmarks, size, margin), size)[0])


def crops(
    photograph: Float[Tensor, "1 3 h w"], landmarks: Landmarks, size: int, margins: Sequence[float]
) -> UInt8[np.ndarray, "n size size 3"]:
    """The aligned face with each of some margins."""
    return np.stack([crop(photograph, landmarks, size, margin) for margin in margins])
