"""Masks of faces from their landmarks, as ContrastGAN uses them."""

import numpy as np
from jaxtyping import Float64, UInt8

Landmarks = list[list[float]]
"""68 points (x, y) in pixels in iBUG's order: jaw, brows, nose, eyes, mouth. The first pixel's centre is 0.5."""

MARGIN = 0.1
"""Grows a mask, in sides of the face, so that raised brows stay inside (our choice)."""
DIRECTIONS = 64
"""Tangents that enclose a face."""


def face_mask(landmarks: Landmarks, size: int) -> UInt8[np.ndarray, "{size} {size}"]:
    """The convex hull of the landmarks, grown by the margin: 255 inside, 0 outside, antialiased at the edge."""
    points: Float64[np.ndarray, "68 2"] = np.array(landmarks)
    centres = np.arange(size) + 0.5
    distance = np.full((size, size), -np.inf)  # from the hull, negative inside
    for angle in np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False):
        x, y = np.cos(angle), np.sin(angle)
        tangent = (points @ (x, y)).max()
        np.maximum(distance, centres * x + centres[:, None] * y - tangent, out=distance)
    margin = MARGIN * np.ptp(points, axis=0).max()
    return (255 * np.clip(margin + 0.5 - distance, 0, 1)).round().astype(np.uint8)


def is_inside(landmarks: Landmarks, size: int) -> bool:
    """Whether most of the landmarks lie in an image of this side."""
    points = np.array(landmarks)
    return bool(((points > 0) & (points < size)).all(1).mean() > 0.5)
