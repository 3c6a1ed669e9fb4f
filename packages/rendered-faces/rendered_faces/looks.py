"""Appearance of visible points under their light: skin, eyes, mouth, cloth and frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces import eyes, paint, relief
from rendered_faces.head import EYE, SKIN, TEETH, TONGUE, Head
from rendered_faces.light import Lit, illuminate, specular, unit
from rendered_faces.person import Person
from rendered_faces.rays import Mesh
from rendered_faces.scene import Scene
from rendered_faces.wear import CLOTH, COVER, FRAME, SCARF, collar


@dataclass
class VisiblePoints:
    """Visible points: part, template position, texture coordinates, position, view ray, normal and light."""

    part: np.ndarray
    template: np.ndarray
    uv: np.ndarray
    place: np.ndarray
    view: np.ndarray
    normal: np.ndarray
    lit: Lit

    def only(self, which: np.ndarray) -> VisiblePoints:
        """The points that a mask selects."""
        lit = Lit(self.lit.colour[which], self.lit.key[which], self.lit.direction[which])
        return VisiblePoints(
            self.part[which],
            self.template[which],
            self.uv[which],
            self.place[which],
            self.view[which],
            self.normal[which],
            lit,
        )


@dataclass
class Looks:
    """Appearance of one person with one expression in a scene."""

    head: Head
    person: Person
    scene: Scene
    noise: paint.Noise
    deep: dict[str, float]

    def colour(self, seen: VisiblePoints, mesh: Mesh, centres: list[np.ndarray], fixation: np.ndarray) -> np.ndarray:
        """Light that leaves each point towards the camera, (n, 3)."""
        out = np.zeros_like(seen.place)
        kinds = {SKIN: self._skin, CLOTH: self._cloth, SCARF: self._scarf, COVER: self._cover, FRAME: self._frame}
        for part, draw in kinds.items():
            which = seen.part == part
            if which.any():
                out[which] = draw(seen.only(which))
        for centre, side in zip(centres, (1, -1), strict=True):
            which = (seen.part == EYE) & (seen.template[:, 0] * side > 0)
            out[which] = self._eye(seen.only(which), mesh, centre, fixation)
        which = (seen.part == TEETH) | (seen.part == TONGUE)
        out[which] = self._mouth(seen.only(which), mesh)
        return out

    def _skin(self, seen: VisiblePoints) -> np.ndarray:
        look, points = self.person.look, seen.template
        lips = paint.ramp(self.head.mask("lips", seen.uv), 0.2, 0.8)
        scale = 0.000055 * (0.75 + 0.5 * look["years"]) * (1 - 0.7 * lips)

        def height(at: np.ndarray) -> np.ndarray:
            pores = self.noise(at, 1150, 1) + 0.7 * self.noise(at, 520, 12)
            lines = self.noise(at, (1500, 260, 260), 4) * lips * 0.00009
            return scale * pores + lines + 0.00085 * relief.wrinkles(at, self.deep, self.noise)

        here = height(points)
        normals = unit(seen.normal)
        bumped = relief.bumped(normals, relief.slopes(height, points, here))
        towards = unit(seen.lit.direction)
        tilt = ((bumped - normals) * towards).sum(1) / np.maximum((normals * towards).sum(1), 0.35)
        valley = np.clip(1 + 260 * np.minimum(here + 0.0002, 0), 0.55, 1)
        light = seen.lit.colour * np.clip(1 + 0.85 * tilt, 0.35, 1.6)[:, None]
        # Light from below the skin comes back red from the valleys.
        light = light * valley[:, None] ** np.array([0.7, 1.1, 1.2])
        # Light that bounces inside the mouth is not traced.
        inner = paint.ramp(self.head.mask("inside-mouth", seen.uv), 0.3, 0.8) * (points[:, 1] > -0.152)
        light = light + (0.16 * inner)[:, None] * self.scene.light.key_colour
        colour = paint.skin(self.person, points, seen.uv, self.head, self.noise) * light
        oily = paint.spot(points, (0.0, 0.70), (0.018, 0.03)) + paint.spot(points, (0.0, 0.765), (0.05, 0.02))
        rough = np.clip(0.62 - 0.10 * np.clip(oily, 0, 1) * look["oil"] - 0.08 * look["oil"] - 0.14 * lips, 0.3, 0.65)
        wet = 1 - paint.ramp(self.head.eye_reach(points), 1.02, 1.10)
        rough = rough * (1 - 0.6 * wet)
        sheen = self._gloss(seen, bumped, rough, 0.028 * (1 + 0.5 * lips + wet))
        cavity = np.clip(seen.lit.colour.mean(1, keepdims=True) * 2, 0, 1)
        edge = np.clip(1 + (normals * seen.view).sum(1), 0, 1) ** 4
        return colour + sheen + (0.10 * edge)[:, None] * cavity * self.scene.light.sky_colour

    def _gloss(self, seen: VisiblePoints, normals: np.ndarray, rough: np.ndarray, f0: np.ndarray | float) -> np.ndarray:
        light, out = self.scene.light, np.zeros_like(seen.place)
        for towards, colour, share in (
            (light.key, light.key_colour, seen.lit.key),
            (light.fill, light.fill_colour, np.clip(seen.lit.colour.mean(1) * 1.5, 0, 1)),
        ):
            two = 0.75 * specular(normals, seen.view, towards, rough) + 0.25 * specular(
                normals, seen.view, towards, 0.75 * rough
            )
            out += (share * f0 * two)[:, None] * colour
        return out

    def _eye(self, seen: VisiblePoints, mesh: Mesh, centre: np.ndarray, fixation: np.ndarray) -> np.ndarray:
        outward, gaze = unit(seen.place - centre), unit((fixation - centre)[None])[0]
        lit = illuminate(self.scene.light, mesh, seen.place + 0.0006 * outward, outward)
        colour = eyes.eyeball(self.person, outward, gaze, seen.view)
        # Light also enters through the lids and the white, so shadows on it are soft and never black.
        light = 0.85 * lit.colour + 0.10 * seen.lit.colour + 0.05 * self.scene.light.sky_colour
        glint = eyes.glint(outward, gaze, seen.view, self.scene.light)
        free = np.clip(lit.key + 0.15, 0, 1)[:, None]
        return colour * light + free * np.minimum(glint, 0.7)

    def _mouth(self, seen: VisiblePoints, mesh: Mesh) -> np.ndarray:
        normals = unit(seen.normal)
        is_tooth = seen.part == TEETH
        lit = illuminate(self.scene.light, mesh, seen.place, normals)
        colour = np.where(is_tooth[:, None], eyes.teeth(seen.template), eyes.TONGUE_RED)
        # Light that bounces between lips, tongue and teeth is not traced. It is warm and weak.
        bounce = np.array([0.27, 0.215, 0.20]) * (self.scene.light.key_colour + self.scene.light.sky_colour)
        near = paint.ramp(-seen.template[:, 1], 0.115, 0.15)[:, None]
        light = 0.8 * lit.colour + bounce * (0.15 + 0.85 * near)
        seen.lit.key[:] = lit.key
        return colour * light + self._gloss(seen, normals, np.full(len(normals), 0.22), 0.04)

    def _woven(self, seen: VisiblePoints, colour: np.ndarray, fine: float) -> np.ndarray:
        at = seen.template
        thread = 0.10 * self.noise(at, fine, 3) + 0.08 * self.noise(at, 0.45 * fine, 7) + 0.06 * self.noise(at, 90, 1)
        edge = np.clip(1 + (unit(seen.normal) * seen.view).sum(1), 0, 1) ** 3
        return colour * (1 + thread)[:, None] * seen.lit.colour * (1 + 0.5 * edge)[:, None]

    def _cloth(self, seen: VisiblePoints) -> np.ndarray:
        below = collar(seen.template)
        hem = 1 - 0.35 * np.exp(-(((below - 0.016) / 0.0012) ** 2))
        return self._woven(seen, self.person.look["cloth_colour"] * hem[:, None], 900)

    def _scarf(self, seen: VisiblePoints) -> np.ndarray:
        scarf = self.scene.scarf
        assert scarf is not None, "points of a scarf are visible"
        stripe = paint.ramp(np.sin(2 * np.pi * scarf.stripes * seen.template[:, 2]), -0.1, 0.1)
        return self._woven(seen, paint.mix(scarf.colour, scarf.second, stripe), 600)

    def _cover(self, seen: VisiblePoints) -> np.ndarray:
        return self._woven(seen, self.person.look["cover_colour"], 700)

    def _frame(self, seen: VisiblePoints) -> np.ndarray:
        colour = self.scene.glasses.colour if self.scene.glasses else self.person.look["frame_colour"]
        return colour * seen.lit.colour + self._gloss(seen, unit(seen.normal), np.full(len(seen.place), 0.25), 0.05)
