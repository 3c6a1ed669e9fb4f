"""What is around a person in a picture: light, camera, gaze, background, and what the day brought.

A scene says nothing about who is in it, so the same person can be taken in many, and many people in one.
Angles are degrees; positive ones turn to the person's own left, or up. Colours are linear light.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFilter

from .backdrop import Backdrop
from .expressions import Actions


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
    """What a cheap camera does: blur in shares of the picture's side, and JPEG of a quality from 1 to 95."""

    blur: float
    jpeg: int

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The picture, (size, size, 3) bytes, as such a camera keeps it."""
        image = Pillow.fromarray(pixels).filter(ImageFilter.GaussianBlur(self.blur * len(pixels)))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=self.jpeg)
        with Pillow.open(buffer) as kept:
            return np.array(kept)


@dataclass(frozen=True)
class Glasses:
    """A frame: its linear colour, its thickness in metres, and how square its rims are (2 is an ellipse)."""

    colour: np.ndarray
    rim: float
    square: float


@dataclass(frozen=True)
class Scarf:
    """A scarf around the neck: its two linear colours, and stripes to the metre."""

    colour: np.ndarray
    second: np.ndarray
    stripes: float


@dataclass(frozen=True)
class Scene:
    """Everything in a picture but the person and the expression."""

    light: Light
    backdrop: Backdrop
    yaw: float = 0.0
    """Where the camera stands: 0 is in front of the face."""
    pitch: float = 0.0
    roll: float = 0.0
    """How far the camera is tilted, clockwise in its own view."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Sideways and upwards, seen from the head; (yaw, pitch) looks into the camera."""
    zoom: float = 1.0
    """Larger shows less around the face."""
    degradation: Degradation | None = None
    glasses: Glasses | None = None
    scarf: Scarf | None = None
    hair: Mapping[str, float] = field(default_factory=dict)
    """What replaces entries of the person's look on this day."""


FULL_TURN = 35.0
"""Degrees of gaze at which an eyeLook action is 1."""


def looking(gaze: tuple[float, float]) -> Actions:
    """The facial actions with which lids follow a gaze."""
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
