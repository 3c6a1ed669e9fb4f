"""A scene: light, camera, gaze, background, and glasses, scarf and hair of the day.

A scene does not depend on the person, so one person can be rendered in many scenes, and many people in one. Angles
are in degrees; positive ones turn to the person's own left, or up. Colours are linear light.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFilter

from rendered_faces.backdrop import Backdrop
from rendered_faces.expressions import Actions


@dataclass(frozen=True)
class Light:
    """A key light, a fill light and the sky; directions are unit vectors from the face."""

    key: np.ndarray
    key_spread: float
    key_colour: np.ndarray
    fill: np.ndarray
    fill_colour: np.ndarray
    sky_colour: np.ndarray


@dataclass(frozen=True)
class Degradation:
    """A cheap camera: blur relative to the image's side, and JPEG compression with a quality from 1 to 95."""

    blur: float
    jpeg: int

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The image, (size, size, 3) uint8, as this camera saves it."""
        image = Pillow.fromarray(pixels).filter(ImageFilter.GaussianBlur(self.blur * len(pixels)))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=self.jpeg)
        with Pillow.open(buffer) as saved:
            return np.array(saved)


@dataclass(frozen=True)
class Glasses:
    """A frame: linear colour, thickness in metres, and exponent of the rims (2 is an ellipse, more is squarer)."""

    colour: np.ndarray
    rim: float
    square: float


@dataclass(frozen=True)
class Scarf:
    """A scarf around the neck: two linear colours, and stripes per metre."""

    colour: np.ndarray
    second: np.ndarray
    stripes: float


@dataclass(frozen=True)
class Scene:
    """Everything in an image except the person and the expression."""

    light: Light
    backdrop: Backdrop
    yaw: float = 0.0
    """Position of the camera; 0 is in front of the face."""
    pitch: float = 0.0
    roll: float = 0.0
    """Tilt of the camera, clockwise in its own view."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Sideways and upwards, relative to the head; (yaw, pitch) looks into the camera."""
    zoom: float = 1.0
    """Larger values show less around the face."""
    degradation: Degradation | None = None
    glasses: Glasses | None = None
    scarf: Scarf | None = None
    hair: Mapping[str, float] = field(default_factory=dict)
    """Entries that replace those of the person's look."""


FULL_TURN = 35.0
"""Gaze angle in degrees at which an eyeLook action is 1."""


def gaze_actions(gaze: tuple[float, float]) -> Actions:
    """The facial actions by which the lids follow a gaze."""
    left, up = (angle / FULL_TURN for angle in gaze)
    turns = {
        "eyeLookOutLeft": left, "eyeLookInRight": left, "eyeLookInLeft": -left, "eyeLookOutRight": -left,
        "eyeLookUpLeft": up, "eyeLookUpRight": up, "eyeLookDownLeft": -up, "eyeLookDownRight": -up,
    }  # fmt: skip
    return {name: float(min(value, 1)) for name, value in turns.items() if value > 0}


def direction(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector from the face; azimuth 0 is straight in front of it."""
    a, e = np.radians([azimuth, elevation])
    return np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
