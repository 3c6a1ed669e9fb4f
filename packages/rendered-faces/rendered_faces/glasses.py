"""Glasses: frames of tubes and lenses, fitted to a neutral face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces.head import LEFT_EYE, RIGHT_EYE, SKIN, Head
from rendered_faces.light import middle
from rendered_faces.paint import ramp
from rendered_faces.person import Person
from rendered_faces.scene import Glasses
from rendered_faces.wear import FRAME, Surface, join


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
    return vertices, np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)])


@dataclass
class Spectacles:
    """Glasses fitted to a neutral face: the mesh of the frame, and centres and half axes of the lenses."""

    surface: Surface
    centres: np.ndarray
    half: np.ndarray
    power: float

    def lens(self, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coverage of each ray by a lens, and the distance to the lens."""
        plane = self.centres[:, 1].mean()
        distance = (plane - origin[1]) / rays[:, 1]
        at = origin + rays * distance[:, None]
        shares = [_lens_shape((at - c)[:, 0], (at - c)[:, 2], self.half, self.power) for c in self.centres]
        return 1 - ramp(np.minimum(*shares), 0.97, 1.0), distance


def person_glasses(person: Person) -> Glasses | None:
    """The glasses that a person wears every day, or None."""
    look = person.look
    return Glasses(look["frame_colour"], look["frame_rim"], look["frame_square"]) if look["glasses"] else None


def _lens_shape(x: np.ndarray, z: np.ndarray, half: np.ndarray, power: float) -> np.ndarray:
    return (np.abs(x / half[0]) ** power + np.abs(z / half[1]) ** power) ** (1 / power)


def spectacles(head: Head, person: Person, neutral: np.ndarray, glasses: Glasses) -> Spectacles:
    """Fit glasses to a neutral face."""
    eyes = np.stack([middle(neutral[LEFT_EYE]), middle(neutral[RIGHT_EYE])])
    apart = eyes[0, 0] - eyes[1, 0]
    half = np.array([0.405 * apart, person.look["lens_height"] * apart])
    power = glasses.square
    temple = (
        (head.part == SKIN) & (np.abs(head.template[:, 2] - 0.735) < 0.01) & (np.abs(head.template[:, 1] + 0.06) < 0.02)
    )
    wide = np.abs(neutral[temple][:, 0]).max() - 0.003
    front = min(neutral[LEFT_EYE][:, 1].min(), neutral[RIGHT_EYE][:, 1].min()) - 0.015
    centres = eyes + np.array([[0.04 * apart, 0, -0.004], [-0.04 * apart, 0, -0.004]])
    centres[:, 1] = front
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    shape = np.stack(
        [np.sign(c) * np.abs(c) ** (2 / power) * half[0], 0 * c, np.sign(s) * np.abs(s) ** (2 / power) * half[1]], 1
    )
    tubes = [_tube(centre + shape, 0.5 * glasses.rim, True) for centre in centres]
    t = np.linspace(0, 1, 12)[:, None]
    reach = 0.97 * half[0]
    inner = centres + np.array([[-reach, 0, 0.25 * half[1]], [reach, 0, 0.25 * half[1]]])
    bridge = inner[0] * (1 - t) + inner[1] * t + np.array([0, -0.003, 0.004]) * np.sin(np.pi * t)
    tubes.append(_tube(bridge, 0.5 * glasses.rim, False))
    for sign, centre in ((1, centres[0]), (-1, centres[1])):
        hinge = centre + np.array([sign * 0.98 * half[0], 0, 0.3 * half[1]])
        ear = np.array([sign * wide, front + 0.105, hinge[2] + 0.004])
        bend = np.array([ear[0] + 0.001, front + 0.012, hinge[2]])
        arm = (1 - t) ** 2 * hinge + 2 * t * (1 - t) * bend + t**2 * ear
        tubes.append(_tube(arm, 0.5 * glasses.rim, False))
    surfaces = [Surface(v, f, v, np.zeros((len(f), 3, 2)), np.full(len(f), FRAME)) for v, f in tubes]
    return Spectacles(join(surfaces), centres, half, power)
