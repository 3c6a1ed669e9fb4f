"""What is behind a person: each kind paints itself, in linear light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Backdrop(Protocol):
    """Anything that can fill a square picture."""

    def paint(self, pixels: int) -> np.ndarray:
        """Linear colours, (pixels * pixels, 3), row by row."""
        ...


@dataclass(frozen=True)
class Wall:
    """One colour, brighter towards one side and a little uneven; black stays black."""

    colour: np.ndarray
    slope: np.ndarray
    unevenness: float
    seed: int

    def paint(self, pixels: int) -> np.ndarray:
        """Linear colours, (pixels * pixels, 3), row by row."""
        steps = np.linspace(-1, 1, pixels)
        x, y = (a.ravel() for a in np.meshgrid(steps, steps))
        level = 1 + self.slope[0] * x + self.slope[1] * y + 0.5 * self.unevenness * clouds(self.seed, pixels, 4)
        return self.colour * np.clip(level, 0.2, 2)[:, None]


def clouds(seed: int, pixels: int, cells: int) -> np.ndarray:
    """Smooth noise in [-1, 1] with so many cells along a side, (pixels * pixels,); alike at every size."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (cells + 1, cells + 1))
    at = (np.arange(pixels) + 0.5) / pixels * cells
    low = at.astype(int)
    share = at - low
    share = share * share * (3 - 2 * share)
    rows = lattice[low] * (1 - share)[:, None] + lattice[low + 1] * share[:, None]
    return (rows[:, low] * (1 - share) + rows[:, low + 1] * share).ravel()
