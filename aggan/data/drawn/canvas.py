"""A canvas in linear light, and the random numbers and noise that it is painted with.

s      side of a drawing in pixels: `SUPERSAMPLING` times that of the image
x, y   pixel centres in sides of the image: x to the right, y down, both in [0, 1]
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

SUPERSAMPLING = 4
Field = Float[np.ndarray, "rows columns"]
Region = Bool[np.ndarray, "rows columns"]
Colour = Float[np.ndarray, "... 3"]
"""Linear: one colour, or one for each pixel."""
Window = tuple[slice, slice]
"""Rows and columns of a canvas."""


class Dice:
    """Random numbers of a scene. Only `random` of the generator is used, whose values are the same everywhere."""

    def __init__(self, *seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self._generator.random())

    def chance(self, probability: float) -> bool:
        return self.uniform(0.0, 1.0) < probability

    def below(self, count: int) -> int:
        return int(count * self.uniform(0.0, 1.0))

    def choose(self, colours: Float[np.ndarray, "n 3"], vary: float = 0.12) -> Float[np.ndarray, "3"]:
        """One of the colours, a little brighter or darker."""
        return colours[self.below(len(colours))] * self.uniform(1 - vary, 1 + vary)

    def grid(self, rows: int, columns: int) -> Field:
        return self._generator.random((rows, columns))


@dataclass
class Canvas:
    """What has been drawn so far, in linear light."""

    side: int
    pixels: Float[np.ndarray, "s s 3"] = field(init=False)
    x: Float[np.ndarray, "1 s"] = field(init=False)
    y: Float[np.ndarray, "s 1"] = field(init=False)

    def __post_init__(self) -> None:
        centres = (np.arange(self.side) + 0.5) / self.side
        self.pixels = np.zeros((self.side, self.side, 3))
        self.x, self.y = centres[None], centres[:, None]

    def window(self, left: float, top: float, right: float, bottom: float) -> Window:
        """The pixels of a box, so that small things are not drawn over the whole canvas."""
        low, high = (np.clip(np.array(c) * self.side, 0, self.side).astype(int) for c in ((top, left), (bottom, right)))
        return slice(low[0], high[0] + 1), slice(low[1], high[1] + 1)

    def within(self, window: Window) -> tuple[Float[np.ndarray, "1 columns"], Float[np.ndarray, "rows 1"]]:
        """x and y of a window."""
        return self.x[:, window[1]], self.y[window[0]]

    def region(self, inside: Region, window: Window) -> Bool[np.ndarray, "s s"]:
        """A region of a window, on the whole canvas."""
        region = np.zeros((self.side, self.side), bool)
        region[window] = inside
        return region

    def blend(self, colour: Colour, alpha: Field | Region, window: Window = (slice(None), slice(None))) -> None:
        """Cover a share of each pixel with a colour."""
        share = alpha[..., None].astype(np.float64)
        self.pixels[window] = self.pixels[window] * (1 - share) + colour * share

    def darken(self, shadow: Field, window: Window = (slice(None), slice(None))) -> None:
        self.pixels[window] *= 1 - shadow[..., None]


def smooth_step(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """0 up to `low`, 1 from `high` on, and a smooth step between them."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(dice: Dice, side: int, rows: int, columns: int) -> Float[np.ndarray, "side side"]:
    """Smooth noise in [0, 1] with this many cells over the canvas."""
    grid = dice.grid(rows + 1, columns + 1)
    vertical, horizontal = (_mixing(cells, side) for cells in (rows, columns))
    return vertical @ grid @ horizontal.T


def _mixing(cells: int, side: int) -> Float[np.ndarray, "side corners"]:
    """The share of each of `cells + 1` corners at each pixel."""
    places = (np.arange(side) + 0.5) / side * cells
    return smooth_step(0.0, 1.0, 1 - np.abs(places[:, None] - np.arange(cells + 1)))
