"""Drawn scenes: a vase on a table before a wall, plain, spotted or striped, and which pixels the pattern changes.

    s      side of a drawing in pixels: `SUPERSAMPLING` times that of the image
    x, y   pixel centres in sides of the image: x to the right, y down, both in [0, 1]

A scene is a stream of random numbers. Its image is a function of them, of the domain and of the size: one scene can be
drawn at any size and in every domain. The view is from slightly above, and the light from the front left or right.
Vases and fruit are solids, so a pattern is foreshortened at the edges of a vase, and lies in its light and shadow.

A pattern follows from the plain image: its rows are fixed to the form of the vase, and it is always cream. So every
image has exactly one right translation to each other domain. Walls, cloths and bowls have patterns in every domain, and
a fruit may hide a part of the vase: neither stripes nor dots alone tell a domain.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

SUPERSAMPLING = 4
PLAIN, SPOTTED, STRIPED = "plain", "spotted", "striped"
DOMAINS = (PLAIN, SPOTTED, STRIPED)
GAMMA = 2.2
"""Colours are mixed in linear light."""
TILT = 0.2
"""Of the view: a circle that lies is an ellipse of this height, relative to its width."""
SPACING, DOT, BAND = 0.125, 0.043, 0.028
"""Of a pattern in sides of the image: between two rows, the radius of a dot, half the width of a band."""
RIM = 0.84
"""Inner radius of a vase's mouth, relative to its outer one."""
LEAST_RADIUS = 0.45
"""A vase has a pattern where it is at least this wide, relative to its widest part."""

Field = Float[np.ndarray, "rows columns"]
Region = Bool[np.ndarray, "rows columns"]
Colour = Float[np.ndarray, "... 3"]
Window = tuple[slice, slice]


def _colours(*codes: str) -> Float[np.ndarray, "n 3"]:
    """Linear colours of hexadecimal codes."""
    return np.array([[int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)] for code in codes]) ** GAMMA


CREAM = _colours("fbf1dc")[0]
GLAZES = _colours(
    "b4532f", "1f6f78", "27406b", "6b7a34", "6d3350", "a9781f", "485766", "2f5d3f", "8c3b34", "3d3a5c", "7a4a2b"
)  # fmt: skip
WALLS = _colours(
    "d9c9ae", "b9c7c2", "c7b6b9", "a8b8cc", "e0d8c8", "9fae94", "cdb08a", "b7a9c4", "8d9ea6", "d7b7a1", "7c8a86"
)  # fmt: skip
WOODS = _colours("8a5a34", "a8794a", "6a452c", "b58d61", "94704f")
CLOTHS = _colours("e9e4d8", "c8d3d9", "e3c9c0", "cfd6bf", "d9cfe0")
THREADS = _colours("9c3d38", "3f5f86", "5f7d57", "7d6a93", "b0843c")
STONES = _colours("9a968e", "7f868c", "b3aca0", "5f6468")
FRUITS = _colours("e07b1a", "e2b81f", "7fa52a", "8d1f2d", "5a2d5c", "cf4a2a")
LEAVES = _colours("4f7a3a", "6c9148", "3d6650", "8a9a5b", "59803c")
PETALS = _colours("e8b7c0", "f2d05e", "d9604a", "f3efe6", "a58bc6", "e58fa0")
INKS = _colours("2f4a7a", "7a3f3a", "3f6a58")


class Drawing(NamedTuple):
    """An image of a scene, and shares of its pixels."""

    image: UInt8[np.ndarray, "size size 3"]
    pattern: UInt8[np.ndarray, "size size"]
    """The share of each pixel that the pattern covers, of 255: where the image differs from the plain one."""
    vase: UInt8[np.ndarray, "size size"]
    """The share that is vase."""


class _Dice:
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
class _Canvas:
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


def _smooth(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """0 up to `low`, 1 from `high` on, and a smooth step between them."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _noise(dice: _Dice, side: int, rows: int, columns: int) -> Float[np.ndarray, "side side"]:
    """Smooth noise in [0, 1] with this many cells over the canvas."""
    grid = dice.grid(rows + 1, columns + 1)
    vertical, horizontal = (_mixing(cells, side) for cells in (rows, columns))
    return vertical @ grid @ horizontal.T


def _mixing(cells: int, side: int) -> Float[np.ndarray, "side corners"]:
    """The share of each of `cells + 1` corners at each pixel."""
    places = (np.arange(side) + 0.5) / side * cells
    return _smooth(0.0, 1.0, 1 - np.abs(places[:, None] - np.arange(cells + 1)))


# --- the room -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Light:
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


def _draw_wall(canvas: _Canvas, dice: _Dice, light: _Light, horizon: float) -> None:
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
    plaster = _noise(dice, canvas.side, 7, 7) * 0.6 + _noise(dice, canvas.side, 60, 60) * 0.4
    canvas.pixels *= (0.9 + 0.2 * plaster)[..., None]
    if dice.chance(0.35):
        _draw_frame(canvas, dice, horizon)
    if dice.chance(0.55):
        _draw_sunlight(canvas, dice, light)
    # The wall is brighter near the window.
    near = 0.5 + light.side * (x - 0.5)
    canvas.pixels *= (0.62 + 0.5 * near - 0.15 * y)[..., None] * light.colour


def _draw_frame(canvas: _Canvas, dice: _Dice, horizon: float) -> None:
    """A framed print on the wall."""
    width, height = dice.uniform(0.16, 0.3), dice.uniform(0.18, 0.32)
    left = dice.uniform(0.02, 0.2) if dice.chance(0.5) else dice.uniform(0.98, 0.8) - width
    top = dice.uniform(0.04, max(0.05, horizon - height - 0.15))
    dx, dy = np.abs(canvas.x - left - width / 2) - width / 2, np.abs(canvas.y - top - height / 2) - height / 2
    inside = np.maximum(dx, dy)  # negative inside the frame
    canvas.darken(0.35 * _smooth(0.03, 0.0, inside))
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


def _draw_sunlight(canvas: _Canvas, dice: _Dice, light: _Light) -> None:
    """Light through a window with crossbars, slanted on the wall."""
    slant, left, top = light.side * dice.uniform(0.2, 0.45), dice.uniform(0.1, 0.6), dice.uniform(-0.1, 0.15)
    u, v = (canvas.x - left + slant * canvas.y) / dice.uniform(0.3, 0.5), (canvas.y - top) / dice.uniform(0.4, 0.6)
    edges = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    bars = np.minimum(np.abs(u - 0.5), np.abs(v - 0.5))
    lit = _smooth(0.0, 0.05, edges) * _smooth(0.02, 0.06, bars)
    canvas.pixels *= 1 + dice.uniform(0.25, 0.5) * lit[..., None]


def _draw_table(canvas: _Canvas, dice: _Dice, light: _Light, horizon: float) -> None:
    below = np.broadcast_to(canvas.y > horizon, (canvas.side,) * 2)
    depth = 1 / (np.maximum(canvas.y - horizon, 0) + 0.42)  # falls towards the viewer
    across, away = (canvas.x - 0.5) * depth, np.broadcast_to(depth, (canvas.side,) * 2)
    kind = dice.below(4)
    phase = dice.uniform(0.0, 1.0)
    if kind == 0:
        grain = _noise(dice, canvas.side, 90, 3) * 0.65 + _noise(dice, canvas.side, 220, 9) * 0.35
        boards = np.abs((away * 3.2 + phase) % 1 - 0.5) > 0.47
        colour = dice.choose(WOODS) * (0.7 + 0.6 * grain)[..., None] * (1 - 0.55 * boards)[..., None]
    elif kind == 1:
        base, thread = dice.choose(CLOTHS), dice.choose(THREADS)
        checks = (((across * 5 + phase) % 1 < 0.5).astype(float) + ((away * 5) % 1 < 0.5)) / 2
        colour = base * (1 - checks[..., None]) + thread * checks[..., None]
    elif kind == 2:
        base, thread = dice.choose(CLOTHS), dice.choose(THREADS)
        lines = (np.abs((across * 4 + phase) % 1 - 0.5) < 0.09) | (np.abs((across * 4 + phase) % 1 - 0.3) < 0.03)
        colour = np.where(lines[..., None], thread, base) * (0.92 + 0.16 * _noise(dice, canvas.side, 9, 9))[..., None]
    else:
        speckles = _noise(dice, canvas.side, 110, 110)
        veins = _smooth(0.06, 0.0, np.abs(_noise(dice, canvas.side, 6, 4) - 0.5))
        colour = dice.choose(STONES) * (0.8 + 0.4 * speckles + 0.25 * veins)[..., None]
    near = 0.5 + light.side * (canvas.x - 0.5)
    bright = 0.72 + 0.35 * near + 0.25 * (canvas.y - horizon)
    canvas.blend(colour * bright[..., None] * light.colour, below)
    canvas.darken(0.35 * _smooth(0.05, 0.0, np.abs(canvas.y - horizon)) * np.ones_like(canvas.x))


# --- solids ---------------------------------------------------------------------------------------


def _shade(light: _Light, albedo: Colour, normal: tuple[Field, Field, Field], gloss: float, bounce: Colour) -> Colour:
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


def _draw_shadow(canvas: _Canvas, light: _Light, x: float, y: float, radius: float, height: float) -> None:
    """The shadow of a solid that stands at (x, y), on the table: dark below it, and long on the side without light."""
    long, short, deep = radius * 0.9 + height * 0.55, radius * 1.05, radius * (TILT + 0.12)
    reach = 1.15 * long
    window = canvas.window(x - reach, y - 1.15 * deep, x + reach, y + 1.15 * deep)
    u, v = canvas.within(window)
    along = (u - x) * -light.side
    distance = np.sqrt((along / np.where(along > 0, long, short)) ** 2 + ((v - y) / deep) ** 2)
    canvas.darken(0.62 * _smooth(1.15, 0.55, distance), window)


@dataclass(frozen=True)
class _Form:
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


class _Surface(NamedTuple):
    """The visible points of a form, by pixel of a window."""

    window: Window
    inside: Region
    axis: Field
    """y of the point of the axis at the same height."""
    angle: Field
    """Around the axis, 0 towards the viewer."""
    normal: tuple[Field, Field, Field]


def _form(dice: _Dice, x: float, bottom: float, height: float, widest: float, radii: tuple[float, ...]) -> _Form:
    """A smooth curve through some radii, each varied a little."""
    points = np.array([r * dice.uniform(0.9, 1.1) for r in radii])
    places = np.linspace(0, len(points) - 1, 96)
    first = np.minimum(places.astype(int), len(points) - 2)
    t = places - first
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[first + k] for k in range(4))  # Catmull and Rom's spline
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    curve = np.clip(curve, 0.15, None)
    return _Form(x, bottom - height, bottom, curve / curve.max() * widest)


def _surface(canvas: _Canvas, form: _Form) -> _Surface:
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
    return _Surface(window, inside, axis, np.arcsin(sine), (sine / length, -slope / length, cosine / length))


def _pattern(form: _Form, surface: _Surface, domain: str) -> Region:
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


def _draw_mouth(canvas: _Canvas, light: _Light, form: _Form, window: Window, glaze: Colour) -> None:
    """The opening of a vase, seen from above, with its rim."""
    distance = _mouth_distance(canvas, form, window)
    x, _ = canvas.within(window)
    dark = 0.12 + 0.25 * _smooth(0.4, -0.9, (x - form.x) / form.radii[0] * -light.side)
    canvas.blend(glaze * light.colour * 0.85, distance < 1, window)
    canvas.blend(glaze * light.colour * dark[..., None], distance < RIM, window)


def _mouth_distance(canvas: _Canvas, form: _Form, window: Window) -> Field:
    """From the centre of the mouth: 1 at its edge."""
    radius, (x, y) = form.radii[0], canvas.within(window)
    return np.sqrt(((x - form.x) / radius) ** 2 + ((y - form.top) / (TILT * radius)) ** 2)


def _draw_form(canvas: _Canvas, light: _Light, form: _Form, surface: _Surface, albedo: Colour, bounce: Colour) -> None:
    """A solid in front of its own mouth, with the front of the rim."""
    _, ny, _ = surface.normal
    # The window is reflected between shoulder and belly.
    reflected = _smooth(0.13, 0.07, np.abs(surface.angle - light.side * 0.62)) * _smooth(0.0, 0.06, 0.05 - ny)
    colour = _shade(light, albedo, surface.normal, 1.0, bounce) + 0.1 * reflected[..., None] * light.colour
    canvas.blend(colour, surface.inside, surface.window)
    distance, (_, y) = _mouth_distance(canvas, form, surface.window), canvas.within(surface.window)
    canvas.blend(albedo * light.colour * 0.95, (distance < 1) & (distance > RIM) & (y > form.top), surface.window)


# --- things ---------------------------------------------------------------------------------------

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
BOWLS = ((1.0, 0.97, 0.88, 0.7, 0.45), (0.94, 0.98, 1.0, 0.95, 0.8), (1.0, 0.92, 0.84, 0.78, 0.72))


def _draw_bunch(canvas: _Canvas, dice: _Dice, light: _Light, form: _Form) -> None:
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
    canvas: _Canvas,
    light: _Light,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: Colour,
    pointed: bool = True,
) -> None:
    """A flat shape between two points: a leaf with a midrib, or a piece of a stem. `width` is half of its own."""
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


def _draw_flower(canvas: _Canvas, dice: _Dice, light: _Light, x: float, y: float, colour: Colour) -> None:
    petals, size, turn = 5 + dice.below(4), dice.uniform(0.03, 0.05), dice.uniform(0.0, 1.0)
    for k in range(petals):
        angle = 2 * np.pi * (k / petals + turn)
        tip = x + size * np.cos(angle), y + size * np.sin(angle)
        shade = 0.85 + 0.15 * np.cos(angle) * light.side - 0.12 * np.sin(angle)
        _draw_leaf(canvas, light, (x, y), tip, size * 0.42, colour * shade)
    window = canvas.window(x - size, y - size, x + size, y + size)
    u, v = canvas.within(window)
    canvas.blend(PETALS[1] * 0.75 * light.colour, (u - x) ** 2 + (v - y) ** 2 < (size * 0.3) ** 2, window)


def _draw_fruit(canvas: _Canvas, dice: _Dice, light: _Light, x: float, bottom: float, bounce: Colour) -> Region:
    """A round fruit that lies at (x, bottom). Returns where it is."""
    radius, squat, colour = dice.uniform(0.05, 0.085), dice.uniform(0.88, 1.0), dice.choose(FRUITS)
    centre = bottom - radius * squat * 0.93
    _draw_shadow(canvas, light, x, bottom - radius * 0.12, radius * 0.95, radius * 1.4)
    window = canvas.window(x - radius, centre - radius, x + radius, centre + radius)
    u, v = canvas.within(window)
    u, v = np.broadcast_arrays((u - x) / radius, (v - centre) / (radius * squat))
    inside = u * u + v * v < 1
    skin = colour * (0.92 + 0.16 * _noise(dice, canvas.side, 50, 50)[window])[..., None]
    normal = u, v, np.sqrt(np.clip(1 - u * u - v * v, 0, None))
    canvas.blend(_shade(light, skin, normal, 0.5, bounce), inside, window)
    _draw_leaf(canvas, light, (x, centre - radius * 0.6), (x + 0.015, centre - radius * 1.1), 0.006, WOODS[2], False)
    return canvas.region(inside, window)


def _draw_bowl(canvas: _Canvas, dice: _Dice, light: _Light, x: float, bottom: float, bounce: Colour) -> Region:
    """A pale bowl or cup, sometimes with a painted band or dots: the same in every domain. Returns where it is."""
    radii, widest = BOWLS[dice.below(len(BOWLS))], dice.uniform(0.075, 0.11)
    form = _form(dice, x, bottom, widest * dice.uniform(1.0, 1.5), widest, radii)
    surface, glaze = _surface(canvas, form), dice.choose(CLOTHS)
    ink, painted = dice.choose(INKS), dice.below(3)
    height = (surface.axis - form.top) / widest
    band = (painted == 1) & (np.abs(height - 0.4) < 0.09)
    turned = surface.angle / 0.5
    dots = (painted == 2) & (((turned - np.round(turned)) * 0.5) ** 2 + (height - 0.45) ** 2 < 0.025)
    albedo = np.where((band | dots)[..., None], ink, glaze)
    _draw_shadow(canvas, light, x, bottom, form.radii[-1] * 1.2, form.bottom - form.top)
    _draw_mouth(canvas, light, form, surface.window, glaze)
    _draw_form(canvas, light, form, surface, albedo, bounce)
    return canvas.region(surface.inside | (_mouth_distance(canvas, form, surface.window) < 1), surface.window)


def draw_scene(seed: tuple[int, ...], domain: str, size: int) -> Drawing:
    """Draw a scene in one of `DOMAINS`, `size` px wide and high. The same seed is the same scene."""
    dice, canvas = _Dice(*seed), _Canvas(SUPERSAMPLING * size)
    side = 1.0 if dice.chance(0.5) else -1.0
    warmth = dice.uniform(-0.08, 0.1)
    light = _Light(side, dice.uniform(0.85, 1.1) * np.array([1 + warmth, 1.0, 1 - warmth]), dice.uniform(0.28, 0.5))
    horizon = dice.uniform(0.58, 0.72)
    _draw_wall(canvas, dice, light, horizon)
    _draw_table(canvas, dice, light, horizon)
    bounce = canvas.pixels[int(0.9 * canvas.side)].mean(0)
    x, bottom = dice.uniform(0.33, 0.67), dice.uniform(horizon + 0.13, 0.9)
    form = _form(dice, x, bottom, dice.uniform(0.4, 0.52), dice.uniform(0.15, 0.21), VASES[dice.below(len(VASES))])
    things = [
        (dice.uniform(horizon + 0.09, 0.97), dice.uniform(0.08, 0.92), dice.chance(0.3)) for _ in range(dice.below(4))
    ]
    for depth, place, is_bowl in sorted(thing for thing in things if thing[0] <= bottom):
        (_draw_bowl if is_bowl else _draw_fruit)(canvas, dice, light, place, depth, bounce)
    glaze = dice.choose(GLAZES)
    surface = _surface(canvas, form)
    mottled = glaze * (0.85 + 0.3 * _noise(dice, canvas.side, 14, 14)[surface.window])[..., None]
    covered = _pattern(form, surface, domain)
    _draw_shadow(canvas, light, x, bottom, form.radii[-1] * 1.25, bottom - form.top)
    _draw_mouth(canvas, light, form, surface.window, glaze)
    _draw_bunch(canvas, dice, light, form)
    _draw_form(canvas, light, form, surface, np.where(covered[..., None], CREAM, mottled), bounce)
    pattern, vase = (canvas.region(part, surface.window) for part in (covered, surface.inside))
    for depth, place, is_bowl in sorted(thing for thing in things if thing[0] > bottom):
        hidden = (_draw_bowl if is_bowl else _draw_fruit)(canvas, dice, light, place, depth, bounce)
        pattern, vase = pattern & ~hidden, vase & ~hidden
    return Drawing(_to_pixels(canvas), _to_share(pattern), _to_share(vase))


def _to_pixels(canvas: _Canvas) -> UInt8[np.ndarray, "size size 3"]:
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
