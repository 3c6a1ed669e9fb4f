"""The wall and the table of a drawn scene. Their patterns have nothing to do with the domain."""

import numpy as np

from aggan.data.drawn.canvas import Canvas, Dice, noise, smooth_step
from aggan.data.drawn.palette import CLOTHS, FRUITS, STONES, THREADS, WALLS, WOODS
from aggan.data.drawn.solids import Light


def draw_wall(canvas: Canvas, dice: Dice, light: Light, horizon: float) -> None:
    """A plain, striped, dotted, tiled or panelled wall, some with a print or sunlight. It covers the canvas."""
    x, y = canvas.x, canvas.y
    base = dice.choose(WALLS)
    accent = base * dice.uniform(0.72, 0.86) if dice.chance(0.6) else base * dice.uniform(1.1, 1.25)
    canvas.pixels[:] = base
    pattern, pitch, phase = dice.below(6), dice.uniform(0.06, 0.13), dice.uniform(0.0, 1.0)
    u, v = (x / pitch + phase) % 1, (y / pitch + phase) % 1
    if pattern == 0:  # stripes
        canvas.blend(accent, np.broadcast_to(np.abs(u - 0.5) < 0.22, (canvas.side,) * 2))
    elif pattern == 1:  # dots
        shifted = (x / pitch + phase + 0.5 * (np.floor(y / pitch + phase) % 2)) % 1
        canvas.blend(accent, (shifted - 0.5) ** 2 + (v - 0.5) ** 2 < 0.05)
    elif pattern == 2:  # tiles
        canvas.blend(accent, (np.minimum(u, v) < 0.08))
    elif pattern == 3:  # panelling
        rail = horizon - dice.uniform(0.16, 0.3)
        canvas.blend(accent, np.broadcast_to(y > rail, (canvas.side,) * 2))
        canvas.blend(accent * 0.6, (y > rail) & (u < 0.05))
        canvas.blend(accent * 1.25, np.broadcast_to(np.abs(y - rail) < 0.008, (canvas.side,) * 2))
    plaster = noise(dice, canvas.side, 7, 7) * 0.6 + noise(dice, canvas.side, 60, 60) * 0.4
    canvas.pixels *= (0.9 + 0.2 * plaster)[..., None]
    if dice.chance(0.35):
        _draw_frame(canvas, dice, horizon)
    if dice.chance(0.55):
        _draw_sunlight(canvas, dice, light)
    # The wall is brighter near the window.
    near = 0.5 + light.side * (x - 0.5)
    canvas.pixels *= (0.62 + 0.5 * near - 0.15 * y)[..., None] * light.colour


def _draw_frame(canvas: Canvas, dice: Dice, horizon: float) -> None:
    """A framed print on the wall."""
    width, height = dice.uniform(0.16, 0.3), dice.uniform(0.18, 0.32)
    left = dice.uniform(0.02, 0.2) if dice.chance(0.5) else dice.uniform(0.98, 0.8) - width
    top = dice.uniform(0.04, max(0.05, horizon - height - 0.15))
    dx, dy = np.abs(canvas.x - left - width / 2) - width / 2, np.abs(canvas.y - top - height / 2) - height / 2
    inside = np.maximum(dx, dy)  # negative inside the frame
    canvas.darken(0.35 * smooth_step(0.03, 0.0, inside))
    canvas.blend(dice.choose(WOODS) * 0.7, inside < 0)
    canvas.blend(dice.choose(CLOTHS), inside < -0.014)
    print_ = inside < -0.045
    canvas.blend(dice.choose(WALLS), print_)
    for _ in range(3):
        cx, cy, r = (
            left + width * dice.uniform(0.2, 0.8),
            top + height * dice.uniform(0.2, 0.9),
            dice.uniform(0.03, 0.09),
        )
        canvas.blend(dice.choose(FRUITS) * 0.8, print_ & ((canvas.x - cx) ** 2 + (canvas.y - cy) ** 2 < r * r))


def _draw_sunlight(canvas: Canvas, dice: Dice, light: Light) -> None:
    """Light through a window with crossbars, slanted on the wall."""
    slant, left, top = light.side * dice.uniform(0.2, 0.45), dice.uniform(0.1, 0.6), dice.uniform(-0.1, 0.15)
    u, v = (canvas.x - left + slant * canvas.y) / dice.uniform(0.3, 0.5), (canvas.y - top) / dice.uniform(0.4, 0.6)
    edges = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    bars = np.minimum(np.abs(u - 0.5), np.abs(v - 0.5))
    lit = smooth_step(0.0, 0.05, edges) * smooth_step(0.02, 0.06, bars)
    canvas.pixels *= 1 + dice.uniform(0.25, 0.5) * lit[..., None]


def draw_table(canvas: Canvas, dice: Dice, light: Light, horizon: float) -> None:
    """A table of wood or stone, or with a checked or striped cloth, below the horizon."""
    below = np.broadcast_to(canvas.y > horizon, (canvas.side,) * 2)
    depth = 1 / (np.maximum(canvas.y - horizon, 0) + 0.42)  # falls towards the viewer
    across, away = (canvas.x - 0.5) * depth, np.broadcast_to(depth, (canvas.side,) * 2)
    kind = dice.below(4)
    phase = dice.uniform(0.0, 1.0)
    if kind == 0:
        grain = noise(dice, canvas.side, 90, 3) * 0.65 + noise(dice, canvas.side, 220, 9) * 0.35
        boards = np.abs((away * 3.2 + phase) % 1 - 0.5) > 0.47
        colour = dice.choose(WOODS) * (0.7 + 0.6 * grain)[..., None] * (1 - 0.55 * boards)[..., None]
    elif kind == 1:
        base, thread = dice.choose(CLOTHS), dice.choose(THREADS)
        checks = (((across * 5 + phase) % 1 < 0.5).astype(float) + ((away * 5) % 1 < 0.5)) / 2
        colour = base * (1 - checks[..., None]) + thread * checks[..., None]
    elif kind == 2:
        base, thread = dice.choose(CLOTHS), dice.choose(THREADS)
        lines = (np.abs((across * 4 + phase) % 1 - 0.5) < 0.09) | (np.abs((across * 4 + phase) % 1 - 0.3) < 0.03)
        colour = np.where(lines[..., None], thread, base) * (0.92 + 0.16 * noise(dice, canvas.side, 9, 9))[..., None]
    else:
        speckles = noise(dice, canvas.side, 110, 110)
        veins = smooth_step(0.06, 0.0, np.abs(noise(dice, canvas.side, 6, 4) - 0.5))
        colour = dice.choose(STONES) * (0.8 + 0.4 * speckles + 0.25 * veins)[..., None]
    near = 0.5 + light.side * (canvas.x - 0.5)
    bright = 0.72 + 0.35 * near + 0.25 * (canvas.y - horizon)
    canvas.blend(colour * bright[..., None] * light.colour, below)
    canvas.darken(0.35 * smooth_step(0.05, 0.0, np.abs(canvas.y - horizon)) * np.ones_like(canvas.x))
