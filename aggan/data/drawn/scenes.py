"""Drawn scenes: a vase on a table before a wall, plain, spotted or striped, and which pixels the pattern changes.

A scene is a stream of random numbers. Its image is a function of them, of the domain and of the size: one scene can be
drawn at any size and in every domain. The view is from slightly above, and the light from the front left or right.
Vases and fruit are solids, so a pattern is foreshortened at the edges of a vase, and lies in its light and shadow.

A pattern follows from the plain image: its rows are fixed to the form of the vase, and it is always cream. So every
image has exactly one right translation to each other domain. Walls, cloths and bowls have patterns in every domain, and
a fruit may hide a part of the vase: neither stripes nor dots alone tell a domain.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from aggan.data.drawn.canvas import SUPERSAMPLING, Canvas, Dice, Region, noise
from aggan.data.drawn.palette import CREAM, GAMMA, GLAZES
from aggan.data.drawn.room import draw_table, draw_wall
from aggan.data.drawn.solids import Form, Light, Surface, draw_form, draw_mouth, draw_shadow, find_surface, make_form
from aggan.data.drawn.things import draw_bowl, draw_bunch, draw_fruit

PLAIN, SPOTTED, STRIPED = "plain", "spotted", "striped"
DOMAINS = (PLAIN, SPOTTED, STRIPED)
SPACING, DOT, BAND = 0.125, 0.043, 0.028
"""Of a pattern in sides of the image: between two rows, the radius of a dot, half the width of a band."""
LEAST_RADIUS = 0.45
"""A vase has a pattern where it is at least this wide, relative to its widest part."""
VASES = (
    (0.42, 0.34, 0.36, 0.85, 1.0, 0.62),
    (0.62, 0.52, 0.86, 1.0, 0.8, 0.46),
    (0.8, 0.76, 0.86, 0.95, 0.95, 0.8),
    (0.6, 0.46, 0.98, 0.92, 0.62, 0.42),
    (0.36, 0.3, 0.62, 1.0, 0.96, 0.6),
    (0.8, 0.66, 0.78, 0.98, 0.96, 0.58),
    (0.9, 0.78, 0.7, 0.74, 0.9, 0.98),
)
"""Radii of vases from the mouth to the foot, relative to the widest."""


class Drawing(NamedTuple):
    """An image of a scene, and shares of its pixels."""

    image: UInt8[np.ndarray, "size size 3"]
    pattern: UInt8[np.ndarray, "size size"]
    """The share of each pixel that the pattern covers, of 255: where the image differs from the plain one."""
    vase: UInt8[np.ndarray, "size size"]
    """The share that is vase."""


def draw_scene(seed: tuple[int, ...], domain: str, size: int) -> Drawing:
    """Draw a scene in one of `DOMAINS`, `size` px wide and high. The same seed is the same scene."""
    dice, canvas = Dice(*seed), Canvas(SUPERSAMPLING * size)
    side = 1.0 if dice.chance(0.5) else -1.0
    warmth = dice.uniform(-0.08, 0.1)
    light = Light(side, dice.uniform(0.85, 1.1) * np.array([1 + warmth, 1.0, 1 - warmth]), dice.uniform(0.28, 0.5))
    horizon = dice.uniform(0.58, 0.72)
    draw_wall(canvas, dice, light, horizon)
    draw_table(canvas, dice, light, horizon)
    bounce = canvas.pixels[int(0.9 * canvas.side)].mean(0)
    x, bottom = dice.uniform(0.33, 0.67), dice.uniform(horizon + 0.13, 0.9)
    form = make_form(dice, x, bottom, dice.uniform(0.4, 0.52), dice.uniform(0.15, 0.21), VASES[dice.below(len(VASES))])
    things = [
        (dice.uniform(horizon + 0.09, 0.97), dice.uniform(0.08, 0.92), dice.chance(0.3)) for _ in range(dice.below(4))
    ]
    for depth, place, is_bowl in sorted(thing for thing in things if thing[0] <= bottom):
        (draw_bowl if is_bowl else draw_fruit)(canvas, dice, light, place, depth, bounce)
    glaze = dice.choose(GLAZES)
    surface = find_surface(canvas, form)
    mottled = glaze * (0.85 + 0.3 * noise(dice, canvas.side, 14, 14)[surface.window])[..., None]
    covered = _pattern(form, surface, domain)
    draw_shadow(canvas, light, x, bottom, form.radii[-1] * 1.25, bottom - form.top)
    draw_mouth(canvas, light, form, surface.window, glaze)
    draw_bunch(canvas, dice, light, form)
    draw_form(canvas, light, form, surface, np.where(covered[..., None], CREAM, mottled), bounce)
    pattern, vase = (canvas.region(part, surface.window) for part in (covered, surface.inside))
    for depth, place, is_bowl in sorted(thing for thing in things if thing[0] > bottom):
        hidden = (draw_bowl if is_bowl else draw_fruit)(canvas, dice, light, place, depth, bounce)
        pattern, vase = pattern & ~hidden, vase & ~hidden
    return Drawing(_to_pixels(canvas), _to_share(pattern), _to_share(vase))


def _pattern(form: Form, surface: Surface, domain: str) -> Region:
    """Where the pattern of a domain is on a form: rows from its widest part up and down."""
    if domain == PLAIN:
        return np.zeros_like(surface.inside)
    lengths, axis = form.lengths(), np.linspace(form.top, form.bottom, len(form.radii))
    along = np.interp(surface.axis, axis, lengths)
    middle = lengths[form.radii.argmax()]
    wide = lengths[form.radii >= LEAST_RADIUS * form.widest]
    row = np.round((along - middle) / SPACING)
    centre = middle + row * SPACING
    allowed = surface.inside & (centre > wide.min() + DOT / 2) & (centre < wide.max() - DOT / 2)
    if domain == STRIPED:
        return allowed & (np.abs(along - centre) < BAND)
    radius = np.interp(centre, lengths, form.radii)
    step = 2 * np.pi / np.clip(np.round(2 * np.pi * radius / SPACING), 3, None)
    turned = surface.angle / step - 0.5 * (row % 2)
    across = (turned - np.round(turned)) * step * radius
    return allowed & (across**2 + (along - centre) ** 2 < DOT**2)


def _to_pixels(canvas: Canvas) -> UInt8[np.ndarray, "size size 3"]:
    radius = (canvas.x - 0.5) ** 2 + (canvas.y - 0.5) ** 2
    linear = _reduced(canvas.pixels * (1 - 0.45 * radius)[..., None])
    bright = 1.2 * linear / (1 + 0.35 * linear)  # highlights saturate softly
    return (255 * np.clip(bright, 0, 1) ** (1 / GAMMA) + 0.5).astype(np.uint8)


def _to_share(region: Region) -> UInt8[np.ndarray, "size size"]:
    return (255 * _reduced(region[..., None].astype(np.float64))[..., 0] + 0.5).astype(np.uint8)


def _reduced(values: Float[np.ndarray, "s s c"]) -> Float[np.ndarray, "size size c"]:
    """The mean of each pixel's samples."""
    size = len(values) // SUPERSAMPLING
    return values.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, -1).mean((1, 3))
