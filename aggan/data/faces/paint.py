"""Colours of skin, lips, brows, eyes, teeth and hair, painted point by point in template coordinates."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import grid_sample

from .head import Head
from .person import Person, linear

LATTICE = 32
TOOTH, GUM, MOUTH, TONGUE_RED = (
    linear(np.array(c)) for c in ([236, 228, 212], [190, 96, 98], [96, 34, 34], [170, 84, 84])
)
SCLERA = linear(np.array([232, 222, 214]))
IRIS_ANGLE, PUPIL_ANGLE = 0.38, 0.14


class Noise:
    """Smooth periodic noise in [-1, 1] from a seeded lattice; the same point always gives the same value."""

    def __init__(self, seed: int) -> None:
        cells = np.random.default_rng(seed).uniform(-1, 1, (LATTICE,) * 3).astype(np.float32)
        self.volume = torch.from_numpy(np.pad(cells, ((0, 1),) * 3, mode="wrap"))[None, None]

    def __call__(
        self, points: np.ndarray, frequency: float | tuple[float, float, float], shift: float = 0
    ) -> np.ndarray:
        """Noise at points (n, 3), `frequency` lattice cells to the metre."""
        cells = np.mod(points * np.asarray(frequency) + shift, LATTICE) * (2 / LATTICE) - 1
        grid = torch.from_numpy(cells.astype(np.float32))[None, None, None]
        return grid_sample(self.volume, grid, align_corners=True)[0, 0, 0, 0].numpy()


def ramp(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Blend colours (n, 3) or (3,) by a share (n,)."""
    return a + (b - a) * share[:, None]


def spot(points: np.ndarray, centre: tuple[float, float], radius: tuple[float, float]) -> np.ndarray:
    """Soft blob at (|x|, z), on both sides of the face."""
    dx, dz = (np.abs(points[:, 0]) - centre[0]) / radius[0], (points[:, 2] - centre[1]) / radius[1]
    return np.exp(-(dx**2) - dz**2) * (points[:, 1] < -0.05)


def skin(person: Person, points: np.ndarray, uv: np.ndarray, head: Head, noise: Noise) -> np.ndarray:
    """Diffuse colour of skin points, with everything that is painted on skin."""
    look = person.look
    tone = np.broadcast_to(look["skin"], points.shape)
    mottle = 0.05 * noise(points, 110) + 0.05 * noise(points, 320) + 0.06 * noise(points, 800)
    colour = tone * (1 + mottle[:, None] * (0.6 + 0.8 * look["years"]))
    red = spot(points, (0.036, 0.692), (0.02, 0.016)) + spot(points, (0.0, 0.695), (0.012, 0.014))
    red = look["flush"] * (red + 0.7 * head.mask("ears", uv)) * (1 + 0.5 * noise(points, 90, 7))
    colour = colour * (1 - red[:, None] * np.array([0.0, 0.22, 0.2]) * (1 - 0.6 * look["dark"]))
    if look["freckles"]:
        where = spot(points, (0.025, 0.70), (0.03, 0.025)) + 0.5 * spot(points, (0.0, 0.76), (0.05, 0.02))
        dots = ramp(noise(points, 480, 3), 0.35, 0.75) * np.clip(where, 0, 1) * look["freckles"]
        colour = mix(colour, colour * np.array([0.62, 0.45, 0.36]), dots)
    socket = spot(points, (0.030, 0.727), (0.022, 0.012)) * (0.22 + 0.2 * look["years"])
    colour = mix(colour, colour * np.array([0.72, 0.6, 0.6]), np.clip(socket, 0, 1))
    colour = _wrinkles(colour, person, points, noise)
    colour = _beard(colour, person, points, noise)
    colour = _brows(colour, person, points, noise)
    colour = _lashes(colour, person, points, head)
    lips = ramp(head.mask("lips", uv), 0.2, 0.8)
    lined = look["lip"] * (1 + 0.12 * noise(points, (900, 200, 200)))[:, None]
    colour = mix(colour, lined, 0.9 * lips)
    inner = ramp(head.mask("inside-mouth", uv), 0.3, 0.8) * (points[:, 1] > -0.152)
    return np.clip(mix(colour, MOUTH, inner * (1 - lips)), 0.004, 0.95)


def _wrinkles(colour: np.ndarray, person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    """Fine lines of age on the forehead and beside the eyes."""
    waves = np.sin(points[:, 2] * 900 + 2.5 * noise(points, 60, 5))
    forehead = ramp(points[:, 2], 0.755, 0.762) * (points[:, 1] < -0.11)
    crow = spot(points, (0.056, 0.728), (0.008, 0.012))
    lines = ramp(waves, 0.55, 1.0) * np.clip(0.5 * forehead + crow, 0, 1) * person.look["years"] ** 1.5
    return colour * (1 - 0.25 * lines[:, None])


def _lashes(colour: np.ndarray, person: Person, points: np.ndarray, head: Head) -> np.ndarray:
    """The line of lashes on the lid's rim, where skin touches the eyeball; stronger on the upper lid."""
    mirrored = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], axis=1)
    reach = np.linalg.norm(mirrored - head.eye_centre, axis=1) / head.eye_radius
    upper = 0.35 + 0.65 * ramp(points[:, 2] - head.eye_centre[2], -0.002, 0.003)
    line = 1 - ramp(reach, 1.04, 1.04 + 0.10 * person.look["lashes"])
    return mix(colour, np.full(3, 0.008), 0.9 * line * upper)


def _beard(colour: np.ndarray, person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    amount = person.look["beard"]
    if not amount:
        return colour
    side = np.abs(points[:, 0])
    top = person.look["beard_top"] + 0.9 * np.clip(side - 0.03, 0, None)
    jaw = 1 - ramp(points[:, 2] + 0.003 * noise(points, 200, 2), top - 0.006, top + 0.006)
    upper = spot(points, (0.012, 0.674), (0.018, 0.005)) * 1.5
    where = np.clip(jaw + upper, 0, 1) * ramp(points[:, 2], 0.585, 0.615)
    strands = 0.75 + 0.35 * noise(points, (1100, 1100, 420), 9)
    return mix(colour, 0.8 * person.look["brow"] + 0.15 * colour, np.clip(0.8 * amount * where * strands, 0, 0.93))


def _brows(colour: np.ndarray, person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    return mix(colour, person.look["brow"], brow_cover(person, points, noise))


def brow_cover(person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    """How much of each skin point the brows cover, in [0, 1]."""
    look = person.look
    along = (np.abs(points[:, 0]) - 0.0125) / 0.036
    middle = (
        look["brow_height"] + look["brow_arch"] * np.sin(np.pi * np.clip(along, 0, 1.15) ** 1.35) - 0.002 * along**2
    )
    width = look["brow_width"] * (1.05 - 0.65 * np.clip(along, 0, 1))
    offset = points[:, 2] - middle
    # Hairs lean outwards: shear the noise so that strokes run obliquely through the brow.
    leaning = np.stack([np.abs(points[:, 0]) - 1.4 * offset * (1 - along), points[:, 0], offset], axis=1)
    strokes = noise(leaning, (1500, 5, 180), 4)
    edge = 1 - ramp(np.abs(offset) / width - 0.25 * strokes, 0.55, 1.15)
    ends = ramp(along, -0.05, 0.12) * (1 - ramp(along, 0.88, 1.08))
    cover = edge * ends * np.clip(0.85 + 0.35 * strokes, 0, 1) * look["brow_density"] * (points[:, 1] < -0.08)
    return np.clip(cover, 0, 0.96)


def eye(person: Person, outward: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Colour of eyeball points, from their direction seen from the eye's centre."""
    iris = person.look["iris"]
    angle = np.arccos(np.clip(outward @ gaze, -1, 1))
    spokes = np.arctan2(outward[:, 2] - gaze[2], outward[:, 0] - gaze[0])
    streak = 1 + 0.25 * np.sin(spokes * 23) * np.sin(spokes * 9 + 1)
    disc = iris * (streak * (2.2 - 1.1 * np.clip(angle / IRIS_ANGLE, 0, 1)))[:, None]
    disc = mix(disc, 0.3 * disc, ramp(angle, IRIS_ANGLE - 0.07, IRIS_ANGLE))
    disc = mix(disc, np.full(3, 0.004), 1 - ramp(angle, PUPIL_ANGLE - 0.03, PUPIL_ANGLE + 0.03))
    white = mix(SCLERA, SCLERA * np.array([0.95, 0.72, 0.68]), ramp(angle, 0.65, 1.2))
    return mix(disc, white, ramp(angle, IRIS_ANGLE - 0.03, IRIS_ANGLE + 0.04))


def teeth(points: np.ndarray) -> np.ndarray:
    """Tooth enamel with darker gaps, and gums."""
    arc = np.arctan2(points[:, 0], -(points[:, 1] + 0.105)) * 0.042
    gap = np.abs(np.mod(arc / 0.0078, 1.0) - 0.5)
    enamel = TOOTH * (1 - 0.28 * ramp(gap, 0.40, 0.5))[:, None]
    enamel = enamel * (1 - 0.35 * ramp(np.abs(points[:, 0]), 0.012, 0.03))[:, None]
    return mix(enamel, GUM, ramp(np.abs(points[:, 2] - 0.6635), 0.0135, 0.016))


def hair_depth(person: Person, points: np.ndarray) -> np.ndarray:
    """How far inside the hairline a point of the template scalp lies (metres, negative outside)."""
    look, x = person.look, np.abs(points[:, 0])
    line = look["hairline"] - look["peak"] * np.exp(-((x / 0.02) ** 2)) + 0.12 * np.clip(x - 0.03, 0, 0.02)
    front = points[:, 2] - line
    side = np.minimum(points[:, 1] + 0.088 - look["side"], points[:, 2] - 0.70)
    if look["bald"]:
        return np.minimum(side - 0.008, 0.765 - points[:, 2])
    return np.maximum(front, side)


def strands(points: np.ndarray, noise: Noise, wave: float) -> np.ndarray:
    """Noise that is long in the direction of combed hair, in [-1, 1]."""
    around = np.arctan2(points[:, 0], -(points[:, 1] + 0.02)) * 0.08
    fall = points[:, 2]
    bent = around + 0.0025 * wave * np.sin(fall * 110 + 3 * noise(points, 30, 1))
    flow = np.stack([bent, np.zeros_like(bent), fall], axis=1)
    return 0.6 * noise(flow, (420, 1, 14), 11) + 0.5 * noise(flow, (1100, 1, 30), 5)
