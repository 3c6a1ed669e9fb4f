"""Take a picture of a person: visible surface, light below the skin, highlights, hair on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import masks, paint
from .expressions import Actions
from .hair import Hair
from .head import EYE, LEFT_EYE, RIGHT_EYE, SKIN, TEETH, Head, vertex_normals
from .landmarks import LANDMARKS
from .light import DISTANCE, frame, illuminate, middle, shine, unit
from .person import Person
from .rays import Mesh
from .scene import Scene, direction, looking
from .strokes import Strokes

SUPERSAMPLE = 2
MASKS = (*masks.PARTS, "hair")


@dataclass(frozen=True)
class Shot:
    """A picture and what is known about it."""

    image: np.ndarray
    """(size, size, 3) bytes."""
    masks: dict[str, np.ndarray]
    """(size, size) bytes each: 255 where a pixel belongs to the part wholly."""
    landmarks: np.ndarray
    """(68, 2): x to the right and y down in pixels, the first pixel's centre being 0.5; hidden ones too."""


class Studio:
    """One person in one scene: what all expressions share is made once."""

    def __init__(self, head: Head, person: Person, scene: Scene, size: int) -> None:
        self.head, self.scene, self.size = head, scene, size
        self.person = person.wearing(scene.hair)
        self.pixels = size * SUPERSAMPLE
        self.noise = paint.Noise(person.noise_seed)
        self.neutral = head.vertices(person, self.actions("neutral"))
        self.camera = frame(scene, self.neutral)
        self.rays = self.camera.rays(self.pixels)
        eyes = 0.5 * (middle(self.neutral[LEFT_EYE]) + middle(self.neutral[RIGHT_EYE]))
        self.fixation = eyes + DISTANCE * direction(*scene.gaze)
        self.back = scene.backdrop.paint(self.pixels)
        self.hair = Hair(head, self.person, scene.light, self.neutral)
        self.strands = Strokes(self.hair.hairs, self.camera, self.pixels)

    def shot(self, expression: str) -> Shot:
        """Take the picture of an expression."""
        vertices = self.head.vertices(self.person, self.actions(expression))
        colour, depth, parts = self._body(vertices)
        colour, hair = self.strands.draw(colour, depth)
        shares = self._reduced(np.column_stack([parts * (1 - hair)[:, None], hair]))
        drawn = (255 * np.clip(shares, 0, 1) + 0.5).astype(np.uint8)
        x, y, _ = self.camera.project(vertices[LANDMARKS], self.size)
        by_name = {name: drawn[:, :, k] for k, name in enumerate(MASKS)}
        return Shot(develop(self._reduced(colour)), by_name, np.stack([x, y], axis=1))

    def actions(self, expression: str) -> Actions:
        """The facial actions of an expression in this scene, where lids follow the gaze."""
        return {**looking(self.scene.gaze), **self.person.manners[expression].actions}

    def _reduced(self, values: np.ndarray) -> np.ndarray:
        """From rays to pixels: the mean of each pixel's rays, (size, size, channels)."""
        return values.reshape(self.size, SUPERSAMPLE, self.size, SUPERSAMPLE, -1).mean((1, 3))

    def _body(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        head = self.head
        mesh, normals = Mesh(vertices, head.triangles), vertex_normals(vertices, head.triangles)
        light, key = self._vertex_light(mesh, vertices, normals)
        face, weights, depth = mesh.nearest(self.camera.origin, self.rays)
        hit = face >= 0
        corners, w = head.triangles[face[hit]], weights[hit][:, :, None]
        values = np.concatenate([head.template, normals, light, key[:, None]], axis=1)
        at = (values[corners] * w).sum(1)
        uv = (head.corner_uv[face[hit]] * w).sum(1)
        place = self.camera.origin + self.rays[hit] * depth[hit][:, None]
        colour = self.back.copy()
        part, parts = head.part[corners[:, 0]], np.zeros((len(hit), len(masks.PARTS)))
        colour[hit] = self._surface(vertices, part, at, uv, place, self.rays[hit])
        parts[hit] = masks.of_surface(head, self.person, part, (at[:, :3], uv), self.noise)
        return colour, depth, parts

    def _vertex_light(self, mesh: Mesh, vertices: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Light at every vertex; red light spreads furthest under the skin."""
        towards = self.camera.origin - vertices
        used = np.zeros(len(vertices), bool)
        used[self.head.triangles] = True
        used &= (normals * towards).sum(1) > -0.3 * np.linalg.norm(towards, axis=1)
        light, key = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
        light[used], key[used] = illuminate(self.scene.light, mesh, vertices[used], normals[used])
        blurred = np.stack([self.head.smooth(light[:, c : c + 1], n)[:, 0] for c, n in enumerate((5, 2, 1))], axis=1)
        return blurred, self.head.smooth(key[:, None], 1)[:, 0]

    def _surface(
        self,
        vertices: np.ndarray,
        part: np.ndarray,
        at: np.ndarray,
        uv: np.ndarray,
        place: np.ndarray,
        view: np.ndarray,
    ) -> np.ndarray:
        points, light, key = at[:, :3], at[:, 6:9], at[:, 9]
        normals = at[:, 3:6] / (np.linalg.norm(at[:, 3:6], axis=1, keepdims=True) + 1e-9)
        out = np.zeros_like(points)
        wet = np.zeros(len(points))
        is_skin = part == SKIN
        out[is_skin] = paint.skin(self.person, points[is_skin], uv[is_skin], self.head, self.noise)
        wet[is_skin] = 0.6 * paint.ramp(self.head.mask("lips", uv[is_skin]), 0.3, 0.8)
        for which in (LEFT_EYE, RIGHT_EYE):
            centre = middle(vertices[which])
            inside = (part == EYE) & ((points[:, 0] > 0) == (which is LEFT_EYE))
            normals[inside] = unit(place[inside] - centre)
            gaze = unit((self.fixation - centre)[None])[0]
            out[inside] = paint.eye(self.person, normals[inside], gaze)
        out[part == TEETH] = paint.teeth(points[part == TEETH])
        out[part > TEETH] = paint.TONGUE_RED
        wet[part == EYE] = 3.0
        wet[part >= TEETH] = 0.5
        # Light that bounces between lips and teeth is not traced: lift teeth that any light reaches.
        lift = 0.42 * paint.ramp(light.mean(1), 0.0, 0.015) * (part == TEETH)
        light = light * np.where(part == TEETH, 0.75, 1)[:, None] + lift[:, None] * self.scene.light.key_colour
        return out * light + self._highlights(points, normals, view, key, wet, part)

    def _highlights(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        view: np.ndarray,
        key: np.ndarray,
        wet: np.ndarray,
        part: np.ndarray,
    ) -> np.ndarray:
        rough = np.stack([self.noise(points, 700, s) for s in (1, 12, 23)], axis=1)
        bumped = np.where((part == SKIN)[:, None], unit(normals + 0.10 * rough), normals)
        lamp = self.scene.light
        oily = 0.045 + 0.01 * self.person.look["dark"]
        skin = oily * shine(bumped, view, lamp.key, 14) + 0.5 * oily * shine(bumped, view, lamp.key, 45)
        sharp = shine(bumped, view, lamp.key, 160) * np.where(part == EYE, 0.12, 0.05)
        amount = key * np.where(part == SKIN, skin, 0) + np.clip(key, 0.25, 1) * wet * sharp
        return amount[:, None] * lamp.key_colour


def develop(colour: np.ndarray) -> np.ndarray:
    """Linear light to bytes."""
    colour = colour / (1 + (colour / 1.1) ** 4) ** 0.25  # soft shoulder instead of clipped highlights
    return (255 * np.clip(colour, 0, 1) ** (1 / 2.2) + 0.5).astype(np.uint8)
