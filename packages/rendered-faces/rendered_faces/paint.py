"""Colours of skin, lips, brows, eyes, teeth and hair, painted point by point in template coordinates."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import grid_sample

from rendered_faces.colours import linear
from rendered_faces.head import Head
from rendered_faces.person import Person

LATTICE = 32
MOUTH = linear(np.array([96, 34, 34]))


class Noise:
    """Smooth periodic noise in [-1, 1] from a seeded lattice; the same point always gives the same value."""

    def __init__(self, seed: int) -> None:
        cells = np.random.default_rng(seed).uniform(-1, 1, (LATTICE,) * 3).astype(np.float32)
        self.volume = torch.from_numpy(np.pad(cells, ((0, 1),) * 3, mode="wrap"))[None, None]

    def __call__(
        self, points: np.ndarray, frequency: float | tuple[float, float, float], shift: float = 0
    ) -> np.ndarray:
        """Noise at points (n, 3), with `frequency` lattice cells per metre."""
        cells = np.mod(points * np.asarray(frequency) + shift, LATTICE) * (2 / LATTICE) - 1
        grid = torch.from_numpy(cells.astype(np.float32))[None, None, None]
        return grid_sample(self.volume, grid, align_corners=True)[0, 0, 0, 0].numpy()


def ramp(x: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
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
    """Diffuse colour of skin points, including everything that is painted on skin."""
    look = person.look
    tone = np.broadcast_to(look["skin"], points.shape)
    # Melanin darkens in patches, blood reddens in others.
    melanin = (
        0.06 * noise(points, 95) + 0.05 * noise(points, 310) + 0.07 * noise(points, 760) + 0.06 * noise(points, 1700)
    )
    blood = 0.5 * noise(points, 60, 9) + 0.6 * noise(points, 210, 4) + 0.5 * noise(points, 600, 15)
    colour = tone * (1 + melanin[:, None] * (0.7 + 0.8 * look["years"]) * np.array([0.8, 1.0, 1.1]))
    colour = colour * (1 + 0.055 * blood[:, None] * np.array([0.5, -1.0, -0.8]) * (1 - 0.5 * look["dark"]))
    red = spot(points, (0.036, 0.692), (0.02, 0.016)) + spot(points, (0.0, 0.695), (0.012, 0.014))
    red = look["flush"] * (red + 0.7 * head.mask("ears", uv)) * (1 + 0.5 * noise(points, 90, 7))
    colour = colour * (1 - red[:, None] * np.array([0.0, 0.22, 0.2]) * (1 - 0.6 * look["dark"]))
    if look["freckles"]:
        where = spot(points, (0.025, 0.70), (0.03, 0.025)) + 0.5 * spot(points, (0.0, 0.76), (0.05, 0.02))
        dots = ramp(noise(points, 480, 3), 0.35, 0.75) * np.clip(where, 0, 1) * look["freckles"]
        colour = mix(colour, colour * np.array([0.62, 0.45, 0.36]), dots)
    if look["moles"]:
        spots = ramp(noise(points, 190, 27), 0.88 - 0.05 * look["moles"], 0.95) * (noise(points, 40, 31) > 0.1)
        colour = mix(colour, colour * np.array([0.36, 0.27, 0.24]), spots)
    age = ramp(noise(points, 210, 21), 0.5, 0.8) * ramp(noise(points, 40, 22), -0.1, 0.5) * look["years"] ** 2
    colour = mix(colour, colour * np.array([0.80, 0.68, 0.58]), 0.8 * age)
    socket = spot(points, (0.030, 0.727), (0.022, 0.012)) * (0.22 + 0.2 * look["years"])
    colour = mix(colour, colour * np.array([0.72, 0.6, 0.6]), np.clip(socket, 0, 1))
    if look["beard"]:
        colour = mix(
            colour,
            0.5 * look["hair"] + 0.3 * colour * np.array([0.85, 0.95, 1.1]),
            look["beard_shade"] * beard_cover(person, points, noise),
        )
    colour = mix(colour, look["brow"], 0.35 * brow_cover(person, points, noise))
    colour = mix(colour, 0.5 * look["hair"], 0.75 * ramp(hair_depth(person, points), 0.0, 0.012))
    colour = _lashes(colour, person, points, head)
    lips = ramp(head.mask("lips", uv) + 0.10 * noise(points, 420, 2), 0.05, 0.95)
    lined = look["lip"] * (1 + 0.12 * noise(points, (900, 200, 200)))[:, None]
    colour = mix(colour, lined, look["lip_cover"] * lips)
    inner = ramp(head.mask("inside-mouth", uv), 0.3, 0.8) * (points[:, 1] > -0.152)
    return np.clip(mix(colour, MOUTH, inner * (1 - lips)), 0.004, 0.95)


def _lashes(colour: np.ndarray, person: Person, points: np.ndarray, head: Head) -> np.ndarray:
    """Colour with the rims of the lids, where skin touches the eyeball: dark between the lashes, eye shadow above."""
    reach, look = head.eye_reach(points), person.look
    upper = ramp(points[:, 2] - head.eye_centre[2], -0.002, 0.003)
    shade = (1 - ramp(reach, 1.05, 1.55)) * upper * look["liner"]
    colour = mix(colour, colour * np.array([0.55, 0.42, 0.42]), 0.75 * shade)
    line = 1 - ramp(reach, 1.04, 1.09 + 0.06 * look["liner"])
    rim = mix(colour, np.array([0.30, 0.09, 0.07]), 0.4 * line * (1 - upper))
    return mix(rim, np.full(3, 0.008), (0.55 + 0.35 * look["liner"]) * line * (0.25 + 0.75 * upper))


def beard_cover(person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    """Density of the beard at each skin point, in [0, 1]."""
    look, side = person.look, np.abs(points[:, 0])
    top = look["beard_top"] + 0.9 * np.clip(side - 0.03, 0, None)
    ragged = points[:, 2] + 0.004 * noise(points, 200, 2)
    low = ramp(points[:, 2], 0.602, 0.624)
    cheeks = (1 - ramp(ragged, top - 0.008, top + 0.004)) * low * ramp(side, 0.02, 0.03)
    chin = (1 - ramp(ragged, 0.652, 0.658)) * low * (1 - ramp(side, 0.022, 0.03)) * (points[:, 1] < -0.05)
    lip = np.clip(2.2 * spot(points, (0.011, 0.6735), (0.014, 0.0055)) - 0.35, 0, 1)
    corner = 1.3 * spot(points, (0.030, 0.658), (0.005, 0.014))
    cover = look["beard_cheeks"] * cheeks + look["beard_chin"] * (chin + corner) + look["beard_lip"] * lip
    return np.clip(look["beard"] * cover, 0, 1)


def brow_cover(person: Person, points: np.ndarray, noise: Noise) -> np.ndarray:
    """How strongly the brows shade each skin point, in [0, 1]."""
    look = person.look
    along = (np.abs(points[:, 0]) - 0.0125) / 0.036
    middle = (
        look["brow_height"] + look["brow_arch"] * np.sin(np.pi * np.clip(along, 0, 1.15) ** 1.35) - 0.002 * along**2
    )
    width = look["brow_width"] * (1.05 - 0.65 * np.clip(along, 0, 1))
    edge = 1 - ramp(np.abs(points[:, 2] + 0.001 - middle) / width, 0.3, 1.5)
    ends = ramp(along, -0.1, 0.25) * (1 - ramp(along, 0.8, 1.1))
    return edge * ends * look["brow_density"] * (points[:, 1] < -0.08)


def hair_depth(person: Person, points: np.ndarray) -> np.ndarray:
    """How far inside the hairline a point of the template scalp lies (metres, negative outside)."""
    look, x = person.look, np.abs(points[:, 0])
    uneven = 0.0018 * np.sin(points[:, 0] * 310 + 2) + 0.0012 * np.sin(points[:, 2] * 420 + points[:, 0] * 90)
    line = look["hairline"] - look["peak"] * np.exp(-((x / 0.02) ** 2)) + 0.10 * np.clip(x - 0.03, 0, 0.02)
    front = points[:, 2] - line + uneven
    # The temple recedes above the sideburn.
    recess = 0.006 * np.exp(-(((points[:, 2] - 0.757) / 0.012) ** 2))
    edge = 0.068 + 0.35 * np.clip(points[:, 2] - 0.745, 0, 0.06)
    side = np.minimum(points[:, 1] + edge - look["side"] - recess, points[:, 2] - 0.70) + uneven
    if look["bald"]:
        return np.minimum(side - 0.008, 0.765 - points[:, 2])
    # A soft maximum rounds the corner between forehead and temple.
    return 0.013 * np.logaddexp(np.clip(front, -0.2, 0.2) / 0.013, np.clip(side, -0.2, 0.2) / 0.013) - 0.005
