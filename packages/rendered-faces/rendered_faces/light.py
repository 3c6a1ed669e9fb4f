"""Camera and light: framing by the neutral face, area lights with shadows, highlights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rendered_faces.head import BODY_END, CHIN, LEFT_EYE, RIGHT_EYE
from rendered_faces.rays import Mesh
from rendered_faces.scene import Light, Scene

DISTANCE = 1.1  # metres from the camera to the face
FRAME = 1.42  # side of the image, in eye-to-chin heights
WIDTH = 1.08  # smallest side of the image, in face widths
EYE_ROW = 0.26  # distance of the eyes from the top, in image sides
BEHIND = np.array([0.0, 0.025, 0.0])  # from the eyes to the middle of the visible part of a turned head
KEY, FILL, SKY = 14, 5, 32  # number of light directions


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length one."""
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)


@dataclass
class Camera:
    """A pinhole camera: its position, and the axes of its image plane, scaled to half the image."""

    origin: np.ndarray
    forward: np.ndarray
    right: np.ndarray
    up: np.ndarray

    def rays(self, pixels: int) -> np.ndarray:
        """Unit directions through a pixels x pixels grid, row by row."""
        steps = (np.arange(pixels) + 0.5) / pixels * 2 - 1
        x, y = (a.reshape(-1, 1) for a in np.meshgrid(steps, -steps))
        rays = self.forward + x * self.right + y * self.up
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def project(self, points: np.ndarray, pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column and row in pixels, and distance in metres along the ray, of points (..., 3)."""
        away = points - self.origin
        scale = 1 / (away @ self.forward * (self.right @ self.right))
        x, y = away @ self.right * scale, -(away @ self.up) * scale
        return 0.5 * pixels * (x + 1), 0.5 * pixels * (y + 1), np.linalg.norm(away, axis=-1)


def middle(vertices: np.ndarray) -> np.ndarray:
    """Centre of the bounding box of vertices."""
    return 0.5 * (vertices.min(0) + vertices.max(0))


def frame(scene: Scene, neutral: np.ndarray) -> Camera:
    """The camera for all expressions of a person in a scene, placed by the neutral eyes and chin."""
    yaw, pitch = np.radians([scene.yaw, scene.pitch])
    away = np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    up = np.cross(away, right)
    eyes = 0.5 * (middle(neutral[LEFT_EYE]) + middle(neutral[RIGHT_EYE]))
    height = float((eyes - neutral[CHIN]) @ up)
    # Ears lie further back than this and may leave the image.
    facing = (np.abs(neutral[:, 2] - eyes[2] + 0.4 * height) < 0.4 * height) & (neutral[:, 1] < eyes[1] + 0.05)
    side = max(FRAME * height, WIDTH * float(np.ptp(neutral[:BODY_END][facing[:BODY_END], 0]))) / scene.zoom
    target = eyes + up * side * (EYE_ROW - 0.5)
    # The middle of the image lies between eyes and chin, and behind them when the head is turned.
    target += right * float((0.5 * (neutral[CHIN] - eyes) + BEHIND) @ right)
    half, roll = 0.5 * side / DISTANCE, np.radians(scene.roll)
    tilted = np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right
    return Camera(target + DISTANCE * away, -away, tilted[0] * half, tilted[1] * half)


def _cone(axis: np.ndarray, spread: float, count: int) -> np.ndarray:
    """Directions to a disc of light around an axis, in a sunflower pattern."""
    k = np.arange(count)
    radius, turn = spread * np.sqrt((k + 0.5) / count), k * 2.399963
    a = np.cross(axis, [0.0, 0.0, 1.0])
    a /= np.linalg.norm(a)
    b = np.cross(axis, a)
    out = axis + (radius * np.cos(turn))[:, None] * a + (radius * np.sin(turn))[:, None] * b
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def _dome(count: int) -> np.ndarray:
    """Directions over the sphere, without those from below."""
    k = np.arange(count)
    z, turn = 1 - 1.5 * (k + 0.5) / count, k * 2.399963
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


@dataclass
class Lit:
    """Light at points: colour (n, 3), unblocked share of the key light (n,), and main direction (n, 3)."""

    colour: np.ndarray
    key: np.ndarray
    direction: np.ndarray


Veil = Callable[[np.ndarray, np.ndarray], np.ndarray]


def illuminate(light: Light, blocker: Mesh, points: np.ndarray, normals: np.ndarray, veil: Veil | None = None) -> Lit:
    """Light arriving at points (n, 3); `veil` gives the share of light from a direction that passes through hair."""
    lights = np.concatenate([_cone(light.key, light.key_spread, KEY), _cone(light.fill, 0.3, FILL), _dome(SKY)])
    seen = blocker.visible(points + 0.0008 * normals, normals, lights)
    if veil is not None:
        raised = points + 0.005 * normals
        for group, towards in ((slice(0, KEY), light.key), (slice(KEY + FILL, None), np.array([0.0, -0.6, 0.8]))):
            seen[:, group] *= (0.1 + 0.9 * veil(raised, towards))[:, None]
    lit = seen * np.clip(normals @ lights.T, 0, None)
    # A dome's full light on a plate facing up is half the number of its directions, here a little less.
    weight = np.concatenate([np.full(KEY, 1 / KEY), np.full(FILL, 1 / FILL), np.full(SKY, 1 / (0.32 * SKY))])
    lit = lit * weight
    colours = np.concatenate(
        [np.tile(c, (n, 1)) for c, n in ((light.key_colour, KEY), (light.fill_colour, FILL), (light.sky_colour, SKY))]
    )
    bright = lit * colours.mean(1)
    return Lit(lit @ colours, seen[:, :KEY].mean(1), bright @ lights)


def specular(normals: np.ndarray, view: np.ndarray, towards: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """GGX highlight (Walter et al., 2007) with Schlick's Fresnel per unit of reflectance, times the cosine."""
    half = unit(towards - view)
    nl = np.clip(normals @ towards, 0, 1)
    nv = np.clip(-(normals * view).sum(1), 0.05, 1)
    nh = np.clip((normals * half).sum(1), 0, 1)
    alpha2 = rough**4
    spread = alpha2 / (np.pi * (nh * nh * (alpha2 - 1) + 1) ** 2)
    k = 0.5 * rough**2
    visible = 0.25 / ((nl * (1 - k) + k) * (nv * (1 - k) + k))
    grazing = np.clip(1 + (half * view).sum(1), 0, 1) ** 5
    return np.pi * spread * visible * nl * (1 + 30 * grazing)
