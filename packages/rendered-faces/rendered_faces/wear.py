"""Clothing: clothes and head coverings as cloth over the skin, and scarves around the neck.

Cloth is a copy of the skin, raised along the normals and smoothed. At its edges it dips below the skin. Scarves are
built on the neutral head, so they do not move with the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces.head import CHIN, SKIN, Head, vertex_normals
from rendered_faces.paint import Noise, ramp
from rendered_faces.person import Person
from rendered_faces.scene import Scarf

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
    """The part to which each triangle belongs."""


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
    """Cloth over a pose of the skin; `inside` and `thick`, (n,) in metres, say where it lies and how thick it is."""
    usable = (inside > -0.012) & (head.part == SKIN) & (head.mask("inside-mouth", head.vertex_uv) < 0.1)
    face = usable[head.triangles].all(1)
    base = _flat_ears(head, skin)
    raised = head.smooth(base, smooth).astype(float)
    # Smoothing pulls cloth through everything that stands out.
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


def around_neck(head: Head, neutral: np.ndarray, part: int, noise: Noise, loose: float, sides: float) -> Surface:
    """Cloth wound around the neck of a neutral head, from the shoulders up to the chin; `loose` in metres.

    It reaches `sides` metres higher beside the face.
    """
    at = head.template
    neck = neutral[(head.part == SKIN) & (np.abs(at[:, 2] - 0.605) < 0.012) & (np.abs(at[:, 0]) < 0.09)]
    jaw = neutral[(head.part == SKIN) & (np.abs(at[:, 2] - 0.64) < 0.01) & (np.abs(at[:, 0]) < 0.09)]
    chin = neutral[CHIN]
    front, back, half = (
        chin[1] - 0.35 * loose,
        neck[:, 1].max() + loose,
        np.abs(jaw[:, 0]).max() + 0.4 * loose + 0.3 * sides,
    )
    turn, rise = np.meshgrid(np.linspace(0, 2 * np.pi, 97)[:-1], np.linspace(-0.1, 1, 34), indexing="ij")
    depth = 0.5 * (back - front)
    low = chin[2] - 0.085
    top = chin[2] - 0.002 - 0.4 * sides - low + 0.25 * loose * np.cos(turn) + sides * np.sin(turn) ** 2
    # Three windings; the uppermost turns inwards at its edge.
    bulge = 0.22 * loose * np.abs(np.sin(np.pi * (3 * rise + 0.15 * np.sin(turn + 1)))) + 0.35 * loose * (1 - rise)
    bulge -= 1.6 * loose * np.clip(rise - 0.86, 0, 1) ** 2 / 0.02
    place = np.stack([np.sin(turn), -np.cos(turn), rise], axis=-1).reshape(-1, 3)
    bulge = bulge.ravel() + 0.25 * loose * noise(place, (2.2, 2.2, 5.0), 4)
    swell = np.clip(bulge, -0.02, None)
    x, y = (half + swell) * place[:, 0], front + depth + (depth + swell) * place[:, 1]
    vertices = np.stack([x, y, low + rise.ravel() * top.ravel()], axis=1)
    rows, columns = rise.shape[1], rise.shape[0]
    i, j = (v.ravel() for v in np.meshgrid(np.arange(columns), np.arange(rows - 1), indexing="ij"))
    a, b = i * rows + j, (i + 1) % columns * rows + j
    triangles = np.concatenate([np.stack([a, b, b + 1], 1), np.stack([a, b + 1, a + 1], 1)])
    return Surface(vertices, triangles, vertices, np.zeros((len(triangles), 3, 2)), np.full(len(triangles), part))


def dressed(head: Head, person: Person, skin: np.ndarray, noise: Noise) -> list[Surface]:
    """Clothes and head covering of a person on a pose of the skin."""
    at, kind = head.template, person.look["cover"]
    folds = noise(at, (30, 30, 90), 3) + 0.6 * noise(at, (60, 60, 160), 6)
    worn = [cloth(head, skin, collar(at), 0.006 + 0.0015 * folds, CLOTH, 6)]
    if kind == HIJAB:
        worn.append(cloth(head, skin, covered(kind, at), 0.011 + 0.002 * folds, COVER, 40))
    elif kind:
        wound = np.sin(2 * np.pi * (at[:, 2] * 48 + np.abs(at[:, 0] + 0.01) * 30))
        thick = {BEANIE: 0.010, TURBAN: 0.022 + 0.004 * wound, CAP: 0.008}[int(kind)]
        worn.append(cloth(head, skin, covered(kind, at), np.broadcast_to(thick, len(at)), COVER, 8))
    return worn


def wound(head: Head, person: Person, neutral: np.ndarray, noise: Noise, scarf: Scarf | None) -> list[Surface]:
    """Cloth around the neck: a scarf, or the lower part of a hijab."""
    if scarf is not None:
        return [around_neck(head, neutral, SCARF, noise, 0.022, 0.0)]
    return [around_neck(head, neutral, COVER, noise, 0.014, 0.035)] if person.look["cover"] == HIJAB else []


def hidden(person: Person, template: np.ndarray) -> np.ndarray:
    """Whether each template point is so far below a head covering that its skin (mostly the ears) is not drawn."""
    kind = person.look["cover"]
    return covered(kind, template) > 0.014 if kind else np.zeros(len(template), bool)
