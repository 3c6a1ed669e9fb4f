"""Backgrounds: each kind paints itself in linear light."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from rendered_faces.colours import linear


class Backdrop(ABC):
    """A background that fills a square image."""

    @abstractmethod
    def paint(self, pixels: int) -> np.ndarray:
        """Linear colours, (pixels * pixels, 3), row by row."""


@dataclass(frozen=True)
class Wall(Backdrop):
    """One colour, brighter towards one side and slightly uneven. Black stays black."""

    colour: np.ndarray
    slope: np.ndarray
    unevenness: float
    seed: int

    def paint(self, pixels: int) -> np.ndarray:
        steps = np.linspace(-1, 1, pixels)
        x, y = (a.ravel() for a in np.meshgrid(steps, steps))
        level = 1 + self.slope[0] * x + self.slope[1] * y + 0.5 * self.unevenness * clouds(self.seed, pixels, 4)
        return self.colour * np.clip(level, 0.2, 2)[:, None]


@dataclass(frozen=True)
class Clutter(Backdrop):
    """A place out of focus: objects and lights in front of a bright or dark, plain or colourful ground."""

    seed: int
    blur: float
    """Standard deviation relative to the image's side."""
    brightness: float

    def paint(self, pixels: int) -> np.ndarray:
        """Linear colours, (pixels * pixels, 3), row by row."""
        rng = np.random.default_rng(self.seed)
        mood = rng.uniform(0, 1, 3)
        image = Pillow.fromarray(_ground(rng, mood, pixels))
        far, near = int(rng.integers(10, 40)), int(rng.integers(0, 8))
        for k in range(far + near):
            _draw_object(rng, mood, ImageDraw.Draw(image), pixels)
            # Objects that are drawn first are further away and are blurred more often.
            if k % 6 == 5:
                image = image.filter(ImageFilter.GaussianBlur(0.012 * pixels))
        image = image.filter(ImageFilter.GaussianBlur(max(self.blur, 0.008) * pixels))
        colours = linear(np.asarray(image)).reshape(-1, 3)
        return self.brightness * (colours + _lights(rng, pixels))


def _muted(rng: np.random.Generator, mood: np.ndarray) -> np.ndarray:
    """An 8-bit colour of the place: grey, tinted by its mood, rarely bright."""
    grey = rng.uniform(20, 225) ** 0.97
    return np.clip(grey * (1 + 0.35 * (mood - 0.5)) + rng.normal(0, 14 if rng.random() < 0.8 else 45, 3), 4, 250)


def _ground(rng: np.random.Generator, mood: np.ndarray, pixels: int) -> np.ndarray:
    top, low = _muted(rng, mood), _muted(rng, mood)
    level = np.linspace(0, 1, pixels)[:, None, None]
    return np.broadcast_to(top + (low - top) * level, (pixels, pixels, 3)).astype(np.uint8)


def _draw_object(rng: np.random.Generator, mood: np.ndarray, pen: ImageDraw.ImageDraw, pixels: int) -> None:
    """Draw an object: a pole, a shelf, a box or a leaf."""
    colour = tuple(int(v) for v in _muted(rng, mood))
    x, y, w, h = rng.uniform([-0.3, -0.3, 0.02, 0.02], [1, 1, 0.35, 0.5]) * pixels
    w, h = ((0.5 * w, 2 * pixels), (2 * pixels, 0.4 * h), (w, h), (h, h), (0.5 * w, 0.5 * h))[rng.integers(5)]
    draw = pen.ellipse if max(w, h) < pixels and rng.random() < 0.5 else pen.rectangle
    draw((x, min(y, pixels - h) if h > pixels else y, x + w, y + h), fill=colour)


def _lights(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """Lamps out of focus, (pixels ** 2, 3): discs of one size with a brighter rim, in one place out of three."""
    glow = np.zeros((pixels * pixels, 3))
    if rng.random() > 0.35:
        return glow
    steps = (np.arange(pixels) + 0.5) / pixels
    x, y = (v.ravel() for v in np.meshgrid(steps, steps))
    radius, warm = rng.uniform(0.025, 0.08), rng.uniform(0.4, 1, (12, 1)) * np.array([[1.0, 0.75, 0.45]])
    for colour in warm[: rng.integers(3, 12)]:
        away = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 0.8)) / radius
        disc = np.clip((1.05 - away) * radius * 90, 0, 1) * (0.7 + 0.3 * np.clip(away, 0, 1) ** 4)
        glow += rng.uniform(0.15, 0.7) * disc[:, None] * colour
    return glow


def clouds(seed: int, pixels: int, cells: int) -> np.ndarray:
    """Smooth noise in [-1, 1], (pixels * pixels,), with `cells` cells along a side; alike at every size."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (cells + 1, cells + 1))
    at = (np.arange(pixels) + 0.5) / pixels * cells
    low = at.astype(int)
    share = at - low
    share = share * share * (3 - 2 * share)
    rows = lattice[low] * (1 - share)[:, None] + lattice[low + 1] * share[:, None]
    return (rows[:, low] * (1 - share) + rows[:, low + 1] * share).ravel()
