"""What people wear: clothing, scarves and head coverings as cloth laid over the skin, and glasses.

Cloth is a copy of the skin, raised along the normals and smoothed; where it ends it dips under the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .head import LEFT_EYE, RIGHT_EYE, SKIN, Head, vertex_normals
from .light import middle
from .paint import Noise, ramp
from .person import Person
from .scene import Glasses, Scarf

CLOTH, SCARF, COVER, FRAME = range(4, 8)
HIJAB, BEANIE, TURBAN, CAP = range(1, 5)


@dataclass
class Surface:
    """A triangle mesh with what shading needs at each vertex."""

    vertices: np.ndarray
    triangles: np.ndarray
    template: np.ndarray
    corner_uv: np.ndarray
    part: np.ndarray
    """One of the parts for each triangle."""


def join(surfaces: list[Surface]) -> Surface:
    """All surfaces as one."""
    first = np.cumsum([0, *(len(s.vertices) for s in surfaces)])
    return Surface(
        np.concatenate([s.vertices for s in surfaces]),
        np.concatenate([s.triangles + k for s, k in zip(surfaces, first, strict=False)]),
        np.concatenate([s.template for s in surfaces]),
        np.concatenate([s.corner_uv for s in surfaces]),
        np.concatenate([s.part for s in surfaces]),
    )


def collar(points: np.ndarray) -> np.ndarray:
    """How far below the edge of the clothing template points lie, in metres: lower in front."""
    return 0.580 + 0.020 * np.tanh((points[:, 1] + 0.02) / 0.05) - points[:, 2] + 0.15 * np.hypot(points[:, 0], 0.02)


def wrapped(points: np.ndarray) -> np.ndarray:
    """How far below the edge of a scarf template points lie, in metres: it reaches up to the mouth."""
    return 0.641 - 0.25 * np.clip(points[:, 1] + 0.14, 0, 0.2) - points[:, 2]


def covered(kind: float, points: np.ndarray) -> np.ndarray:
    """How far inside a head covering template points lie, in metres."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    if kind == HIJAB:
        oval = np.sqrt((x / 0.064) ** 2 + ((z - 0.704) / 0.084) ** 2) - 1
        return np.where(y < -0.03, np.minimum(0.07 * oval, 0.02), 0.02)
    if kind == CAP:
        return z - 0.772 + 0.10 * np.clip(y + 0.10, 0, 0.2)
    return z - (0.768 if kind == BEANIE else 0.775) + 0.28 * np.clip(y + 0.12, 0, 0.2)


def cloth(head: Head, skin: np.ndarray, inside: np.ndarray, thick: np.ndarray, part: int, smooth: int) -> Surface:
    """Cloth over a pose of the skin: `inside` (metres) where it lies and how `thick` (n,) it is."""
    usable = (inside > -0.012) & (head.part == SKIN)
    face = usable[head.triangles].all(1)
    base = _flat_ears(head, skin)
    raised = head.smooth(base, smooth) * 1.0
    # Smoothing pulls cloth through whatever stands out.
    out = vertex_normals(raised, head.triangles)
    raised += out * np.clip(((base - raised) * out).sum(1), 0, 0.02)[:, None]
    raised = skin + (raised - skin) * ramp(inside, 0.0, 0.015)[:, None]
    # A straight slope crosses the skin in a smooth line, whatever the size of the triangles.
    vertices = raised + out * np.clip(1.3 * inside, -0.004, thick)[:, None]
    count = int(face.sum())
    return Surface(vertices, head.triangles[face], head.template, head.corner_uv[face], np.full(count, part))


def _flat_ears(head: Head, skin: np.ndarray) -> np.ndarray:
    """The skin with the ears pressed against the head."""
    ears = head.smooth((head.mask("ears", head.vertex_uv) > 0.2)[:, None], 3)[:, 0] > 0.02
    at = head.template
    beside = (head.part == SKIN) & ~ears & (np.abs(at[:, 1] + 0.03) < 0.03) & (np.abs(at[:, 2] - 0.73) < 0.03)
    wide = np.abs(skin[beside][:, 0]).max()
    flat = skin.copy()
    flat[ears, 0] = np.clip(skin[ears, 0], -wide, wide)
    return flat


def dressed(head: Head, person: Person, skin: np.ndarray, noise: Noise, scarf: Scarf | None) -> list[Surface]:
    """Clothing, scarf and head covering of a person on a pose of the skin."""
    at, kind = head.template, person.look["cover"]
    folds = noise(at, (30, 30, 90), 3) + 0.6 * noise(at, (60, 60, 160), 6)
    worn = [cloth(head, skin, collar(at), 0.006 + 0.0015 * folds, CLOTH, 6)]
    if scarf is not None:
        worn.append(cloth(head, skin, wrapped(at), 0.016 + 0.006 * folds, SCARF, 14))
    if kind == HIJAB:
        worn.append(cloth(head, skin, covered(kind, at), 0.013 + 0.004 * folds, COVER, 40))
    elif kind:
        wound = np.sin(2 * np.pi * (at[:, 2] * 48 + np.abs(at[:, 0] + 0.01) * 30))
        thick = {BEANIE: 0.010, TURBAN: 0.022 + 0.004 * wound, CAP: 0.008}[int(kind)]
        worn.append(cloth(head, skin, covered(kind, at), thick + 0.0 * folds, COVER, 8))
    return worn


def hidden(person: Person, template: np.ndarray) -> np.ndarray:
    """Which template points lie so far under a head covering that their skin, ears above all, is not drawn."""
    kind = person.look["cover"]
    return covered(kind, template) > 0.014 if kind else np.zeros(len(template), bool)


def _tube(path: np.ndarray, radius: float, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """A round tube along points (n, 3): vertices and triangles."""
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead, [0.0, 1.0, 0.05])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, ahead)
    turn = np.arange(8) * np.pi / 4
    ring = np.cos(turn)[None, :, None] * side[:, None] + np.sin(turn)[None, :, None] * up[:, None]
    vertices = (path[:, None] + radius * ring).reshape(-1, 3)
    n = len(path)
    i, j = np.meshgrid(np.arange(n if closed else n - 1), np.arange(8), indexing="ij")
    a, b = (i * 8 + j).ravel(), (i * 8 + (j + 1) % 8).ravel()
    c, d = (((i + 1) % n) * 8 + (j + 1) % 8).ravel(), (((i + 1) % n) * 8 + j).ravel()
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


@dataclass
class Spectacles:
    """A pair of glasses on a neutral face: frame mesh, and lenses as centre and half axes."""

    surface: Surface
    centres: np.ndarray
    half: np.ndarray
    power: float

    def lens(self, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Share of a lens in each ray, and its distance."""
        plane = self.centres[:, 1].mean()
        distance = (plane - origin[1]) / rays[:, 1]
        at = origin + rays * distance[:, None]
        shares = [_lens_shape((at - c)[:, 0], (at - c)[:, 2], self.half, self.power) for c in self.centres]
        return 1 - ramp(np.minimum(*shares), 0.97, 1.0), distance


def person_glasses(person: Person) -> Glasses | None:
    """The glasses that somebody wears every day."""
    look = person.look
    return Glasses(look["frame_colour"], look["frame_rim"], look["frame_square"]) if look["glasses"] else None


def _lens_shape(x: np.ndarray, z: np.ndarray, half: np.ndarray, power: float) -> np.ndarray:
    return (np.abs(x / half[0]) ** power + np.abs(z / half[1]) ** power) ** (1 / power)


def spectacles(head: Head, person: Person, neutral: np.ndarray, glasses: Glasses) -> Spectacles:
    """Fit glasses to a neutral face."""
    eyes = np.stack([middle(neutral[LEFT_EYE]), middle(neutral[RIGHT_EYE])])
    apart = eyes[0, 0] - eyes[1, 0]
    half = np.array([0.43 * apart, person.look["lens_height"] * apart])
    power = glasses.square
    temple = (head.part == SKIN) & (np.abs(head.template[:, 2] - 0.735) < 0.01) & (np.abs(head.template[:, 1] + 0.06) < 0.02)
    wide = np.abs(neutral[temple][:, 0]).max() - 0.003
    front = min(neutral[LEFT_EYE][:, 1].min(), neutral[RIGHT_EYE][:, 1].min()) - 0.011
    centres = eyes + [[0.055 * apart, 0, -0.003], [-0.055 * apart, 0, -0.003]]
    centres[:, 1] = front
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    shape = np.stack([np.sign(c) * np.abs(c) ** (2 / power) * half[0], 0 * c, np.sign(s) * np.abs(s) ** (2 / power) * half[1]], 1)
    tubes = [_tube(centre + shape, 0.5 * glasses.rim, True) for centre in centres]
    t = np.linspace(0, 1, 12)[:, None]
    inner = [centres[0] - [0.97 * half[0], 0, -0.25 * half[1]], centres[1] + [0.97 * half[0], 0, 0.25 * half[1]]]
    bridge = inner[0] * (1 - t) + inner[1] * t + np.array([0, -0.003, 0.004]) * np.sin(np.pi * t)
    tubes.append(_tube(bridge, 0.5 * glasses.rim, False))
    for sign, centre in ((1, centres[0]), (-1, centres[1])):
        hinge = centre + [sign * 0.98 * half[0], 0, 0.3 * half[1]]
        ear = np.array([sign * wide, front + 0.105, hinge[2] + 0.004])
        bend = np.array([ear[0] + 0.001, front + 0.012, hinge[2]])
        arm = (1 - t) ** 2 * hinge + 2 * t * (1 - t) * bend + t**2 * ear
        tubes.append(_tube(arm, 0.5 * glasses.rim, False))
    surfaces = [Surface(v, f, v, np.zeros((len(f), 3, 2)), np.full(len(f), FRAME)) for v, f in tubes]
    return Spectacles(join(surfaces), centres, half, power)
