"""What stands on the table beside the vase and in it: bunches, fruit and bowls."""

import numpy as np

from aggan.data.drawn.canvas import Canvas, Colour, Dice, Region, Window, noise
from aggan.data.drawn.palette import CLOTHS, FRUITS, INKS, LEAVES, PETALS, WOODS
from aggan.data.drawn.solids import (
    Form,
    Light,
    draw_form,
    draw_mouth,
    draw_shadow,
    find_surface,
    make_form,
    mouth_distance,
    shade,
)

BOWLS = ((1.0, 0.97, 0.88, 0.7, 0.45), (0.94, 0.98, 1.0, 0.95, 0.8), (1.0, 0.92, 0.84, 0.78, 0.72))


def draw_bunch(canvas: Canvas, dice: Dice, light: Light, form: Form) -> None:
    """Stems with leaves or flowers in a vase, or nothing."""
    stems = dice.below(7)
    leafy, leaf, petal = dice.chance(0.55), dice.choose(LEAVES), dice.choose(PETALS)
    for _ in range(stems):
        lean, length = dice.uniform(-0.2, 0.2), dice.uniform(0.14, 0.3)
        start = form.x + form.radii[0] * dice.uniform(-0.45, 0.45)
        green = leaf * dice.uniform(0.75, 1.2)
        t = np.linspace(0, 1, 14)
        xs, ys = start + lean * t**1.6, form.top + 0.01 - length * t + 0.06 * abs(lean) / 0.2 * t**2
        for k in range(len(t) - 1):
            _draw_leaf(canvas, light, (xs[k], ys[k]), (xs[k + 1], ys[k + 1]), 0.006, green * 0.7, pointed=False)
        for k in range(4, len(t), 2 if leafy else 5):
            direction = dice.uniform(0.5, 1.2) * (1 if k % 4 < 2 else -1)
            size = dice.uniform(0.05, 0.085)
            dx, dy = xs[k] - xs[k - 1], ys[k] - ys[k - 1]
            norm = np.sqrt(dx * dx + dy * dy)
            c, s = np.cos(direction), np.sin(direction)
            tip = xs[k] + size * (c * dx - s * dy) / norm, ys[k] + size * (s * dx + c * dy) / norm
            _draw_leaf(canvas, light, (xs[k], ys[k]), tip, size * 0.3, green * dice.uniform(0.85, 1.15))
        if not leafy:
            _draw_flower(canvas, dice, light, float(xs[-1]), float(ys[-1]), petal * dice.uniform(0.8, 1.15))


def _draw_leaf(
    canvas: Canvas,
    light: Light,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: Colour,
    pointed: bool = True,
) -> tuple[Region, Window]:
    """A flat shape between two points: a leaf with a midrib, or a piece of a stem. `width` is half of its own.

    Returns where it is in a window.
    """
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    window = canvas.window(left - width, top - width, right + width, bottom + width)
    x, y = canvas.within(window)
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = np.sqrt(dx * dx + dy * dy)
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / length**2
    across = ((x - start[0]) * -dy + (y - start[1]) * dx) / length
    if pointed:
        inside = (np.abs(across) < width * 4 * along * (1 - along) * (1.25 - 0.5 * along)) & (along > 0) & (along < 1)
        tone = 0.85 + 0.22 * np.sign(across) * np.sign(dx * light.side + 1e-9) - 0.25 * (np.abs(across) < width * 0.1)
    else:
        inside = (np.abs(across) < width) & (along > -0.1) & (along < 1.1)
        tone = 0.9 + 0.3 * across / width * np.sign(light.side)
    canvas.blend(colour * light.colour * tone[..., None], inside, window)
    return inside, window


def _draw_flower(canvas: Canvas, dice: Dice, light: Light, x: float, y: float, colour: Colour) -> None:
    petals, size, turn = 5 + dice.below(4), dice.uniform(0.03, 0.05), dice.uniform(0.0, 1.0)
    for k in range(petals):
        angle = 2 * np.pi * (k / petals + turn)
        tip = x + size * np.cos(angle), y + size * np.sin(angle)
        shade = 0.85 + 0.15 * np.cos(angle) * light.side - 0.12 * np.sin(angle)
        _draw_leaf(canvas, light, (x, y), tip, size * 0.42, colour * shade)
    window = canvas.window(x - size, y - size, x + size, y + size)
    u, v = canvas.within(window)
    canvas.blend(PETALS[1] * 0.75 * light.colour, (u - x) ** 2 + (v - y) ** 2 < (size * 0.3) ** 2, window)


def draw_fruit(canvas: Canvas, dice: Dice, light: Light, x: float, bottom: float, bounce: Colour) -> Region:
    """A round fruit that lies at (x, bottom). Returns where it is."""
    radius, squat, colour = dice.uniform(0.05, 0.085), dice.uniform(0.88, 1.0), dice.choose(FRUITS)
    centre = bottom - radius * squat * 0.93
    draw_shadow(canvas, light, x, bottom - radius * 0.12, radius * 0.95, radius * 1.4)
    window = canvas.window(x - radius, centre - radius, x + radius, centre + radius)
    u, v = canvas.within(window)
    u, v = np.broadcast_arrays((u - x) / radius, (v - centre) / (radius * squat))
    inside = u * u + v * v < 1
    skin = colour * (0.92 + 0.16 * noise(dice, canvas.side, 50, 50)[window])[..., None]
    normal = u, v, np.sqrt(np.clip(1 - u * u - v * v, 0, None))
    canvas.blend(shade(light, skin, normal, 0.5, bounce), inside, window)
    stalk = (x, centre - radius * 0.6), (x + 0.015, centre - radius * 1.1)
    return canvas.region(inside, window) | canvas.region(*_draw_leaf(canvas, light, *stalk, 0.006, WOODS[2], False))


def draw_bowl(canvas: Canvas, dice: Dice, light: Light, x: float, bottom: float, bounce: Colour) -> Region:
    """A pale bowl or cup, sometimes with a painted band or dots: the same in every domain. Returns where it is."""
    radii, widest = BOWLS[dice.below(len(BOWLS))], dice.uniform(0.075, 0.11)
    form = make_form(dice, x, bottom, widest * dice.uniform(1.0, 1.5), widest, radii)
    surface, glaze = find_surface(canvas, form), dice.choose(CLOTHS)
    ink, painted = dice.choose(INKS), dice.below(3)
    height = (surface.axis - form.top) / widest
    band = (painted == 1) & (np.abs(height - 0.4) < 0.09)
    turned = surface.angle / 0.5
    dots = (painted == 2) & (((turned - np.round(turned)) * 0.5) ** 2 + (height - 0.45) ** 2 < 0.025)
    albedo = np.where((band | dots)[..., None], ink, glaze)
    draw_shadow(canvas, light, x, bottom, form.radii[-1] * 1.2, form.bottom - form.top)
    draw_mouth(canvas, light, form, surface.window, glaze)
    draw_form(canvas, light, form, surface, albedo, bounce)
    return canvas.region(surface.inside | (mouth_distance(canvas, form, surface.window) < 1), surface.window)
