"""Eyeballs, teeth and tongue: their colours, and reflections in the wet cornea."""

from __future__ import annotations

import numpy as np

from rendered_faces.colours import linear
from rendered_faces.light import unit
from rendered_faces.paint import mix, ramp
from rendered_faces.person import Person
from rendered_faces.scene import Light

TOOTH, GUM, TONGUE_RED = (linear(np.array(c)) for c in ([240, 232, 216], [178, 92, 92], [168, 88, 86]))
SCLERA = linear(np.array([196, 186, 178]))
IRIS_ANGLE, PUPIL_ANGLE = 0.40, 0.15


def eyeball(person: Person, outward: np.ndarray, gaze: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Colour of points on the eyeball, given their direction from the eye's centre."""
    iris = person.look["iris"]
    # The iris lies under the cornea: seen from aside it shifts away from the viewer.
    seen = unit(outward + 0.10 * (view + outward * -(view * outward).sum(1, keepdims=True)))
    angle = np.arccos(np.clip(seen @ gaze, -1, 1))
    right = np.cross(gaze, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    turn = np.arctan2(seen @ np.cross(right, gaze), seen @ right)
    part = np.clip(angle / IRIS_ANGLE, 0, 1)
    fibres = 0.16 * np.sin(turn * 37 + 3 * np.sin(turn * 5)) + 0.12 * np.sin(turn * 61 + 4 * part) * part
    disc = iris * ((1 + fibres) * (1.35 - 0.5 * part))[:, None]
    collar = np.exp(-(((part - 0.52) / 0.12) ** 2))
    disc = mix(disc, disc * np.array([1.35, 1.1, 0.8]), 0.45 * collar)
    disc = mix(disc, 0.16 * disc, ramp(part, 0.78, 1.0))
    # Light enters the iris from above the far side.
    disc = disc * (1.15 - 0.35 * np.sin(turn))[:, None]
    disc = mix(disc, np.full(3, 0.003), 1 - ramp(angle, PUPIL_ANGLE - 0.02, PUPIL_ANGLE + 0.02))
    veins = 0.5 + 0.5 * np.sin(turn * 29 + 6 * np.sin(turn * 7) + 9 * angle)
    pink = np.clip(ramp(angle, 0.55, 1.25) * (0.55 + 0.45 * veins**3), 0, 1)
    white = mix(SCLERA * (1 - 0.12 * person.look["years"]), SCLERA * np.array([0.92, 0.60, 0.56]), pink)
    # Otherwise the exposure for dark skin would make the white glare.
    white = white * (1 - 0.38 * person.look["dark"]) * np.array([1.0, 0.98, 0.94])
    return mix(disc, white, ramp(angle, IRIS_ANGLE - 0.045, IRIS_ANGLE + 0.045))


def glint(outward: np.ndarray, gaze: np.ndarray, view: np.ndarray, light: Light) -> np.ndarray:
    """Reflections in the cornea, (n, 3): a window at the key light, a weaker one at the fill light, and a sheen."""
    angle = np.arccos(np.clip(outward @ gaze, -1, 1))
    # The cornea bulges, so its normals turn faster than the eyeball's.
    bulge = (1 - ramp(angle, 0.36, 0.52))[:, None]
    normals = unit(outward + 0.55 * bulge * (outward - gaze))
    mirrored = view - 2 * (view * normals).sum(1, keepdims=True) * normals
    fresnel = 0.03 + 0.97 * np.clip(1 + (view * normals).sum(1), 0, 1) ** 5
    out = np.zeros_like(outward)
    for towards, colour, size, strength in (
        (light.key, light.key_colour, light.key_spread, 16.0),
        (light.fill, light.fill_colour, 0.3, 9.0),
    ):
        side = np.cross(towards, [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side)
        a, b = mirrored @ side, mirrored @ np.cross(side, towards)
        half = 0.07 + 0.4 * size
        # A window of four corners, its edges soft.
        window = (1 - ramp(np.abs(a), half - 0.09, half + 0.09)) * (1 - ramp(np.abs(b), half - 0.09, half + 0.09))
        ahead = (mirrored @ towards > 0) * window * fresnel * strength
        out += ahead[:, None] * colour
    return out + (fresnel * ramp(mirrored[:, 2], -0.2, 0.8))[:, None] * light.sky_colour * 0.5


def teeth(points: np.ndarray) -> np.ndarray:
    """Tooth enamel with darker gaps, and gums, at template points."""
    x = np.abs(points[:, 0])
    arc = np.arctan2(points[:, 0], -(points[:, 1] + 0.105)) * 0.042
    gap = np.abs(np.mod(arc / 0.0078, 1.0) - 0.5)
    enamel = TOOTH * (1 - 0.45 * ramp(gap, 0.43, 0.5))[:, None]
    up = np.abs(points[:, 2] - 0.6635)
    enamel = mix(enamel, enamel * np.array([0.97, 0.9, 0.78]), ramp(up, 0.003, 0.012))
    # The back teeth lie in the red shade of the cheeks.
    enamel = mix(enamel, np.array([0.16, 0.045, 0.04]), 0.9 * ramp(x, 0.012, 0.024))
    return mix(enamel, GUM, ramp(up + 0.002 * np.cos(gap * 2 * np.pi), 0.0125, 0.015))
