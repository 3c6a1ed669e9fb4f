"""Masks of the parts of a face, from the renderer's own geometry."""

from __future__ import annotations

import numpy as np

from rendered_faces import paint
from rendered_faces.head import EYE, SKIN, Head
from rendered_faces.person import Person

PARTS = ("face", "mouth", "eyes", "brows")
"""Parts of the body. The mask of hair is its coverage, which is drawn separately."""
JAW, CREST = 0.628, 0.80
"""Template heights of the underside of the chin and of the top of the forehead."""


def of_surface(head: Head, person: Person, part: np.ndarray, at: tuple, noise: paint.Noise) -> np.ndarray:
    """Share of each body point that belongs to each of `PARTS`, (n, 4) in [0, 1].

    `at` holds the template coordinates (n, 3) and the texture coordinates (n, 2) of the points. The face is
    skin, eyes and mouth in front of the ears and above the jaw's edge.
    """
    points, uv = at
    is_skin = part == SKIN
    inside = head.mask("inside-mouth", uv) * (points[:, 1] > -0.152)
    lips = np.maximum(paint.ramp(head.mask("lips", uv), 0.3, 0.7), paint.ramp(inside, 0.3, 0.8))
    mouth = np.where(is_skin, lips, part > EYE)
    brows = np.where(is_skin, paint.brow_cover(person, points, noise), 0)
    # The jaw's edge rises from the chin to the ears.
    side, front = np.abs(points[:, 0]), points[:, 1] < -0.028
    edge = JAW + 0.55 * np.clip(side - 0.02, 0, None) + 0.6 * np.clip(points[:, 1] + 0.09, 0, None)
    ears = head.mask("ears", uv) > 0.3
    face = ~is_skin | (front & (points[:, 2] > edge) & (points[:, 2] < CREST) & ~ears)
    return np.stack([face, mouth, part == EYE, brows], axis=1).astype(float)
