"""Light, and solids of revolution that stand on a table, seen from slightly above."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from aggan.data.drawn.canvas import Canvas, Colour, Dice, Field, Region, Window, smooth_step

TILT = 0.2
"""Of the view: a circle that lies is an ellipse of this height, relative to its width."""
RIM = 0.84
"""Inner radius of a mouth, relative to its outer one."""


@dataclass(frozen=True)
class Light:
    """A window that is not seen."""

    side: float
    """-1 for light from the left, 1 for light from the right."""
    colour: Float[np.ndarray, "3"]
    ambient: float

    @property
    def direction(self) -> Float[np.ndarray, "3"]:
        """Towards the light: x, y, and z to the viewer."""
        vector = np.array([self.side * 0.62, -0.62, 0.6])
        return vector / np.sqrt((vector**2).sum())


def shade(light: Light, albedo: Colour, normal: tuple[Field, Field, Field], gloss: float, bounce: Colour) -> Colour:
    """The colour of a surface with these normals: diffuse light, a highlight, and light from the table below."""
    (nx, ny, nz), (lx, ly, lz) = normal, light.direction
    diffuse = np.clip((nx * lx + ny * ly + nz * lz + 0.15) / 1.15, 0, None)
    half = np.array([lx, ly, lz + 1])
    half /= np.sqrt((half**2).sum())
    aligned = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1)
    shine = gloss * (0.55 * aligned**80 + 0.12 * aligned**12)
    edge = gloss * 0.1 * (1 - np.clip(nz, 0, 1)) ** 3
    ambient = light.ambient * (0.75 - 0.45 * ny)
    lit = albedo * (ambient + 0.95 * diffuse)[..., None] * light.colour
    return lit + (shine + edge)[..., None] * light.colour + albedo * bounce * (0.35 * np.clip(ny, 0, 1))[..., None]


def draw_shadow(canvas: Canvas, light: Light, x: float, y: float, radius: float, height: float) -> None:
    """The shadow of a solid that stands at (x, y), on the table: dark below it, and long on the side without light."""
    long, short, deep = radius * 0.9 + height * 0.55, radius * 1.05, radius * (TILT + 0.12)
    reach = 1.15 * long
    window = canvas.window(x - reach, y - 1.15 * deep, x + reach, y + 1.15 * deep)
    u, v = canvas.within(window)
    along = (u - x) * -light.side
    distance = np.sqrt((along / np.where(along > 0, long, short)) ** 2 + ((v - y) / deep) ** 2)
    canvas.darken(0.62 * smooth_step(1.15, 0.55, distance), window)


@dataclass(frozen=True)
class Form:
    """A solid of revolution that stands on the table: its radius by height."""

    x: float
    top: float
    bottom: float
    """y of the axis at the mouth and at the foot."""
    radii: Float[np.ndarray, " n"]
    """At equal distances from the mouth to the foot."""

    @property
    def widest(self) -> float:
        return float(self.radii.max())

    def radius(self, y: np.ndarray) -> np.ndarray:
        """At points of the axis."""
        return np.interp(y, np.linspace(self.top, self.bottom, len(self.radii)), self.radii)

    def slope(self, y: np.ndarray) -> np.ndarray:
        """How fast the radius grows downwards."""
        step = (self.bottom - self.top) / len(self.radii)
        return (self.radius(y + step) - self.radius(y - step)) / (2 * step)

    def lengths(self) -> Float[np.ndarray, " n"]:
        """Along the wall from the mouth to each of the radii."""
        height = (self.bottom - self.top) / (len(self.radii) - 1)
        return np.concatenate([[0.0], np.cumsum(np.sqrt(height**2 + np.diff(self.radii) ** 2))])


class Surface(NamedTuple):
    """The visible points of a form, by pixel of a window."""

    window: Window
    inside: Region
    axis: Field
    """y of the point of the axis at the same height."""
    angle: Field
    """Around the axis, 0 towards the viewer."""
    normal: tuple[Field, Field, Field]


def make_form(dice: Dice, x: float, bottom: float, height: float, widest: float, radii: tuple[float, ...]) -> Form:
    """A smooth curve through some radii, each varied a little."""
    points = np.array([r * dice.uniform(0.9, 1.1) for r in radii])
    places = np.linspace(0, len(points) - 1, 96)
    first = np.minimum(places.astype(int), len(points) - 2)
    t = places - first
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[first + k] for k in range(4))  # Catmull and Rom's spline
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    curve = np.clip(curve, 0.15, None)
    return Form(x, bottom - height, bottom, curve / curve.max() * widest)


def find_surface(canvas: Canvas, form: Form) -> Surface:
    """The point of a form that each pixel of its window shows."""
    drop = TILT * form.widest
    window = canvas.window(form.x - form.widest, form.top - drop, form.x + form.widest, form.bottom + drop)
    x, y = canvas.within(window)
    offset = x - form.x
    axis = y - TILT * form.radius(y)
    for _ in range(6):  # y = axis + TILT * sqrt(radius(axis)^2 - offset^2)
        axis = y - TILT * np.sqrt(np.clip(form.radius(axis) ** 2 - offset**2, 0, None))
    radius = form.radius(axis)
    inside = (np.abs(offset) <= radius) & (axis >= form.top) & (axis <= form.bottom)
    sine = np.clip(offset / radius, -1, 1)
    cosine, slope = np.sqrt(1 - sine**2), form.slope(axis)
    length = np.sqrt(1 + slope**2)
    return Surface(window, inside, axis, np.arcsin(sine), (sine / length, -slope / length, cosine / length))


def draw_mouth(canvas: Canvas, light: Light, form: Form, window: Window, glaze: Colour) -> None:
    """The opening of a vase, seen from above, with its rim."""
    distance = mouth_distance(canvas, form, window)
    x, _ = canvas.within(window)
    dark = 0.12 + 0.25 * smooth_step(0.4, -0.9, (x - form.x) / form.radii[0] * -light.side)
    canvas.blend(glaze * light.colour * 0.85, distance < 1, window)
    canvas.blend(glaze * light.colour * dark[..., None], distance < RIM, window)


def mouth_distance(canvas: Canvas, form: Form, window: Window) -> Field:
    """From the centre of the mouth: 1 at its edge."""
    radius, (x, y) = form.radii[0], canvas.within(window)
    return np.sqrt(((x - form.x) / radius) ** 2 + ((y - form.top) / (TILT * radius)) ** 2)


def draw_form(canvas: Canvas, light: Light, form: Form, surface: Surface, albedo: Colour, bounce: Colour) -> None:
    """A solid in front of its own mouth, with the front of the rim."""
    _, ny, _ = surface.normal
    # The window is reflected between shoulder and belly.
    reflected = smooth_step(0.13, 0.07, np.abs(surface.angle - light.side * 0.62)) * smooth_step(0.0, 0.06, 0.05 - ny)
    colour = shade(light, albedo, surface.normal, 1.0, bounce) + 0.1 * reflected[..., None] * light.colour
    canvas.blend(colour, surface.inside, surface.window)
    distance, (_, y) = mouth_distance(canvas, form, surface.window), canvas.within(surface.window)
    canvas.blend(albedo * light.colour * 0.95, (distance < 1) & (distance > RIM) & (y > form.top), surface.window)
