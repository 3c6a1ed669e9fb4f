"""Fine relief of the skin: pores, lines of age, and wrinkles that come and go with the facial actions.

Heights are metres over the smooth surface, as functions of template coordinates, so that the relief moves
with the skin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rendered_faces.light import unit
from rendered_faces.paint import Noise, ramp, spot

STEP = 0.00025  # metres, for slopes

Height = Callable[[np.ndarray], np.ndarray]


def groove(distance: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """A valley of depth 1 along a line, from the distance to it."""
    return -np.exp(-((distance / width) ** 2))


def amounts(actions: dict[str, float], years: float) -> dict[str, float]:
    """Depth of each kind of wrinkle, about 0 to 1, for facial actions and `years`, from 0 (young) to 1 (old)."""

    def both(name: str) -> float:
        return 0.5 * (actions.get(name + "Left", 0.0) + actions.get(name + "Right", 0.0))

    crease = 0.35 + 0.65 * years
    return {
        "forehead": crease * (0.7 * actions.get("browInnerUp", 0.0) + 0.6 * both("browOuterUp")) + 0.45 * years**1.5,
        "frown": crease * (both("browDown") + 0.3 * actions.get("browInnerUp", 0.0)) + 0.35 * years**2,
        "crow": crease * (0.5 * both("mouthSmile") + 0.6 * both("cheekSquint") + 0.3 * both("eyeSquint"))
        + 0.5 * years**2,
        "fold": 0.75 * both("mouthSmile") + 0.7 * both("noseSneer") + 0.4 * both("mouthUpperUp") + 0.15 + 0.7 * years,
        "nose": crease * both("noseSneer"),
        "lid": 0.6 * both("cheekSquint") + 0.3 * both("eyeSquint") + 0.2 + 0.6 * years,
        "chin": 0.8 * actions.get("mouthShrugLower", 0.0) + 0.5 * both("mouthFrown"),
    }


def wrinkles(points: np.ndarray, deep: dict[str, float], noise: Noise) -> np.ndarray:
    """Depth of all wrinkles at points (n, 3) in units of one full wrinkle, 0 to about -1.5."""
    x, z = np.abs(points[:, 0]), points[:, 2]
    wander = noise(points, 35, 5)
    rows = (z - 0.7505 + 0.0022 * wander + 0.9 * x**2) / 0.0068
    line = groove(np.abs(rows - np.round(rows)) * 0.0068, 0.0009) * (0.75 + 0.5 * noise(points, 25, 8))
    window = ramp(z, 0.752, 0.758) * (1 - ramp(z, 0.782, 0.79)) * (1 - ramp(x, 0.035, 0.055)) * (points[:, 1] < -0.1)
    total = deep["forehead"] * line * window
    slant = np.abs(x - 0.0075 - 0.18 * (z - 0.745))
    total += deep["frown"] * groove(slant, 0.0011) * ramp(z, 0.732, 0.738) * (1 - ramp(z, 0.752, 0.762))
    dx, dz = x - 0.0475, z - 0.7265
    angle, reach = np.arctan2(dz, dx), np.hypot(dx, dz)
    rays = (angle + 0.12 * wander) / 0.38
    crow = groove(np.abs(rays - np.round(rays)) * 0.38 * reach, 0.0012) * (0.7 + 0.6 * noise(points, 140, 6))
    total += deep["crow"] * crow * ramp(reach, 0.003, 0.008) * (1 - ramp(reach, 0.015, 0.026)) * (np.abs(angle) < 0.95)
    below = np.clip((0.692 - z) / 0.036, 0, 1)
    fold = groove(x - 0.0185 - 0.017 * below**0.8, 0.0017 + 0.001 * below)
    total += deep["fold"] * fold * ramp(z, 0.652, 0.668) * (1 - ramp(z, 0.689, 0.696))
    bunched = (z - 0.7155) / 0.0042 + 0.3 * wander
    across = groove(np.abs(bunched - np.round(bunched)) * 0.0042, 0.0008)
    total += (
        0.8 * deep["nose"] * across * (1 - ramp(x, 0.007, 0.013)) * ramp(z, 0.705, 0.712) * (1 - ramp(z, 0.73, 0.736))
    )
    bag = groove(z - 0.7155 - 6.0 * (x - 0.031) ** 2, 0.0013) + 0.6 * groove(z - 0.711 - 8.0 * (x - 0.033) ** 2, 0.001)
    total += 0.55 * deep["lid"] * bag * ramp(x, 0.014, 0.02) * (1 - ramp(x, 0.042, 0.05)) * (points[:, 1] < -0.08)
    return total + 0.6 * deep["chin"] * np.minimum(noise(points, 230, 9), 0) * spot(
        points, (0.0, 0.638), (0.014, 0.009)
    )


def slopes(height: Height, points: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Gradient (n, 3) of a height whose values at the points are `here`."""
    out = np.empty_like(points)
    for axis in range(3):
        moved = points.copy()
        moved[:, axis] += STEP
        out[:, axis] = (height(moved) - here) / STEP
    return out


def bumped(normals: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Normals of the surface with its relief. Pose and template are nearly parallel, so no frame is rotated."""
    along = gradient - (gradient * normals).sum(1, keepdims=True) * normals
    return unit(normals - along)
