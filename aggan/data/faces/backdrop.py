"""What is behind a person: each kind paints itself, in linear light."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFilter

from .person import linear


class Backdrop(ABC):
    """Anything that can fill a square picture."""

    @abstractmethod
    def paint(self, pixels: int) -> np.ndarray:
        """Linear colours, (pixels * pixels, 3), row by row."""


@dataclass(frozen=True)
class Wall(Backdrop):
    """One colour, brighter towards one side and a little uneven; black stays black."""

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
    """A place out of focus: things and lights in front of a bright or dark, plain or colourful ground."""

    seed: int
    blur: float
    """Standard deviation as a share of the side."""
    brightness: float

    def paint(self, pixels: int) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        ground = rng.uniform(30, 230) + rng.normal(0, 35, (2, 3))
        level = np.linspace(0, 1, pixels)[:, None, None]
        rows = np.clip(ground[0] + (ground[1] - ground[0]) * level, 0, 255)
        image = Pillow.fromarray(np.broadcast_to(rows, (pixels, pixels, 3)).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(4, 26))):
            colour = tuple(int(v) for v in np.clip(rng.uniform(10, 245) + rng.normal(0, 40, 3), 0, 255))
            x, y, w, h = rng.uniform([-0.3, -0.3, 0.03, 0.03], [1, 1, 0.5, 0.7]) * pixels
            # Poles and shelves are common behind people.
            w, h = ((w, 2 * pixels), (2 * pixels, h), (w, h), (h, h))[rng.integers(4)]
            draw = (pen.ellipse, pen.rectangle)[rng.integers(2)] if max(w, h) < pixels else pen.rectangle
            draw((x, min(y, pixels - h) if h > pixels else y, x + w, y + h), fill=colour)
        image = image.filter(ImageFilter.GaussianBlur(self.blur * pixels))
        return self.brightness * linear(np.asarray(image)).reshape(-1, 3)


def clouds(seed: int, pixels: int, cells: int) -> np.ndarray:
    """Smooth noise in [-1, 1] with so many cells along a side, (pixels * pixels,); alike at every size."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (cells + 1, cells + 1))
    at = (np.arange(pixels) + 0.5) / pixels * cells
    low = at.astype(int)
    share = at - low
    share = share * share * (3 - 2 * share)
    rows = lattice[low] * (1 - share)[:, None] + lattice[low + 1] * share[:, None]
    return (rows[:, low] * (1 - share) + rows[:, low + 1] * share).ravel()
