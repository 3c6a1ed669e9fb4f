"""Render an image of a person: visible surfaces, light below the skin, highlights, hairs on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces import brows, masks, paint
from rendered_faces.expressions import Actions
from rendered_faces.glasses import Spectacles, person_glasses, spectacles
from rendered_faces.hair import Hair
from rendered_faces.head import LEFT_EYE, RIGHT_EYE, TONGUE, Head, vertex_normals
from rendered_faces.landmarks import LANDMARKS
from rendered_faces.light import DISTANCE, Lit, frame, illuminate, middle
from rendered_faces.looks import Looks, VisiblePoints
from rendered_faces.person import Person
from rendered_faces.rays import Mesh
from rendered_faces.relief import amounts
from rendered_faces.scene import Scene, direction, gaze_actions
from rendered_faces.strokes import Strokes
from rendered_faces.wear import Surface, dressed, hidden, join, wound

SUPERSAMPLE = 2
MASKS = (*masks.PARTS, "hair")
SUBSURFACE = (12, 3, 0)  # rounds of smoothing for red, green and blue light


@dataclass(frozen=True)
class Shot:
    """An image and what is known about it."""

    image: np.ndarray
    """(size, size, 3) uint8."""
    masks: dict[str, np.ndarray]
    """(size, size) uint8 each: 255 where a pixel lies fully inside the part."""
    landmarks: np.ndarray
    """(68, 2): x to the right and y down in pixels; the first pixel's centre is 0.5. Hidden landmarks are included."""


class Studio:
    """One person in one scene: everything that all expressions share is computed once."""

    def __init__(self, head: Head, person: Person, scene: Scene, size: int) -> None:
        self.head, self.scene, self.size = head, scene, size
        self.person = person = person.wearing(scene.hair)
        self.pixels = size * SUPERSAMPLE
        self.noise = paint.Noise(person.noise_seed)
        self.neutral = head.vertices(person, self.actions("neutral"))
        self.camera = frame(scene, self.neutral)
        self.rays = self.camera.rays(self.pixels)
        eyes = 0.5 * (middle(self.neutral[LEFT_EYE]) + middle(self.neutral[RIGHT_EYE]))
        self.fixation = eyes + DISTANCE * direction(*scene.gaze)
        # A camera adapts its exposure to the face, but not completely.
        self.exposure = 1.12 * (0.24 / float(person.look["skin"].mean())) ** 0.32
        self.back = scene.backdrop.paint(self.pixels)
        self.hair = Hair(head, person, scene.light, self.neutral)
        self.strands = Strokes(self.hair.hairs, self.camera, self.pixels)
        rng = np.random.default_rng([person.noise_seed, 2])
        self.rooted = [brows.brows(head, person, rng)]
        if (beard := brows.beard(head, person, self.noise, rng)) is not None:
            self.rooted.append(beard)
        glasses = scene.glasses or person_glasses(person)
        self.glasses = spectacles(head, person, self.neutral, glasses) if glasses else None
        self.fixed = wound(head, person, self.neutral, self.noise, scene.scarf)
        if self.glasses:
            self.fixed.append(self.glasses.surface)

    def shot(self, expression: str) -> Shot:
        """Render the image of an expression."""
        actions = self.actions(expression)
        skin = self.head.vertices(self.person, actions)
        colour, depth, parts, lit = self._surfaces(skin, actions)
        normals = vertex_normals(skin, self.head.triangles)
        shares = []
        for rooted in self.rooted:
            hairs = brows.hairs(rooted, skin, normals, lit.colour)
            colour, share = Strokes(hairs, self.camera, self.pixels).draw(colour, depth)
            shares.append(share)
        lashes = brows.lashes(self.head, self.person, skin)
        colour, _ = Strokes(lashes, self.camera, self.pixels).draw(colour, depth)
        if self.glasses:
            colour = self._behind_lenses(self.glasses, colour, depth)
        colour, hair = self.strands.draw(colour, depth)
        parts[:, masks.PARTS.index("brows")] = shares[0]
        drawn = self._reduced(np.column_stack([parts * (1 - hair)[:, None], hair]))
        drawn = (255 * np.clip(drawn, 0, 1) + 0.5).astype(np.uint8)
        x, y, _ = self.camera.project(skin[LANDMARKS], self.size)
        by_name = {name: drawn[:, :, k] for k, name in enumerate(MASKS)}
        image, camera = tone_map(self.exposure * self._reduced(colour)), self.scene.degradation
        return Shot(camera.apply(image) if camera else image, by_name, np.stack([x, y], axis=1))

    def actions(self, expression: str) -> Actions:
        """The facial actions of an expression in this scene, with lids that follow the gaze."""
        return {**gaze_actions(self.scene.gaze), **self.person.manners[expression].actions}

    def _reduced(self, values: np.ndarray) -> np.ndarray:
        """From rays to pixels: the mean of each pixel's rays, (size, size, channels)."""
        return values.reshape(self.size, SUPERSAMPLE, self.size, SUPERSAMPLE, -1).mean((1, 3))

    def _surfaces(self, skin: np.ndarray, actions: Actions) -> tuple[np.ndarray, np.ndarray, np.ndarray, Lit]:
        """Colour, depth and parts of each ray without hairs, and the light at the vertices."""
        head = self.head
        shown = ~hidden(self.person, head.template)[head.triangles].all(1)
        part = head.part[head.triangles[:, 0]]
        bare = Surface(skin, head.triangles[shown], head.template, head.corner_uv[shown], part[shown])
        worn = dressed(head, self.person, skin, self.noise) + self.fixed
        surface = join([bare, *worn])
        mesh, normals = Mesh(surface.vertices, surface.triangles), vertex_normals(surface.vertices, surface.triangles)
        lit = self._lit(mesh, surface, normals)
        face, weights, depth = mesh.nearest(self.camera.origin, self.rays)
        hit = face >= 0
        corners, w = surface.triangles[face[hit]], weights[hit][:, :, None]
        values = np.concatenate([surface.template, normals, lit.colour, lit.key[:, None], lit.direction], axis=1)
        at = (values[corners] * w).sum(1)
        uv = (surface.corner_uv[face[hit]] * w).sum(1)
        place = self.camera.origin + self.rays[hit] * depth[hit][:, None]
        seen = VisiblePoints(
            surface.part[face[hit]], at[:, :3], uv, place, self.rays[hit], at[:, 3:6],
            Lit(at[:, 6:9], at[:, 9], at[:, 10:13]),
        )  # fmt: skip
        looks = Looks(head, self.person, self.scene, self.noise, amounts(actions, self.person.look["years"]))
        centres = [middle(skin[which]) for which in (LEFT_EYE, RIGHT_EYE)]
        colour = self.back.copy()
        colour[hit] = looks.colour(seen, mesh, centres, self.fixation)
        parts = np.zeros((len(hit), len(masks.PARTS)))
        of_body = masks.of_surface(head, self.person, seen.part, (seen.template, seen.uv), self.noise)
        parts[hit] = of_body * (seen.part <= TONGUE)[:, None]
        return colour, depth, parts, lit

    def _lit(self, mesh: Mesh, surface: Surface, normals: np.ndarray) -> Lit:
        """Light at every vertex. Red light spreads furthest below the skin."""
        towards = self.camera.origin - surface.vertices
        used = np.zeros(len(surface.vertices), bool)
        used[surface.triangles] = True
        used &= (normals * towards).sum(1) > -0.3 * np.linalg.norm(towards, axis=1)
        x, y, _ = self.camera.project(surface.vertices, 1)
        used &= (np.abs(x - 0.5) < 0.62) & (np.abs(y - 0.5) < 0.62)
        # Light changes slowly enough to compute it only at the vertices before refinement.
        used[self.head.coarse_end : len(self.head.template)] = False
        lit = illuminate(self.scene.light, mesh, surface.vertices[used], normals[used], self.hair.volume.transmitted)
        values = np.zeros((len(used), 7))
        values[used] = np.concatenate([lit.colour, lit.key[:, None], lit.direction], axis=1)
        skin = values[: len(self.head.template)]
        skin[:] = np.maximum(self.head.refined(skin[: self.head.coarse_end]), [0, 0, 0, 0, -9, -9, -9])
        for channel, rounds in enumerate(SUBSURFACE):
            skin[:, channel] = self.head.smooth(skin[:, channel : channel + 1], rounds)[:, 0]
        return Lit(values[:, :3], values[:, 3], values[:, 4:])

    def _behind_lenses(self, glasses: Spectacles, colour: np.ndarray, depth: np.ndarray) -> np.ndarray:
        share, distance = glasses.lens(self.camera.origin, self.rays)
        share = share * (distance < depth)
        x, z = self.rays[:, 0], self.rays[:, 2]
        streak = paint.ramp(np.sin(60 * (x + 0.7 * z) + 1.0), 0.2, 1.0) * paint.ramp(z, -0.02, 0.06)
        mirrored = (0.006 + 0.022 * streak)[:, None] * (self.scene.light.sky_colour + 0.5 * self.scene.light.key_colour)
        return colour + share[:, None] * (mirrored - 0.04 * colour)


def tone_map(colour: np.ndarray) -> np.ndarray:
    """Linear light to 8 bits, with a film's soft shoulder and slight toe."""
    colour = np.maximum(colour, 0)
    colour = colour * (1 + colour / 5.0) / (1 + 0.62 * colour)
    encoded = np.clip(colour, 0, 1) ** (1 / 2.2)
    encoded = encoded + 0.05 * np.sin(2 * np.pi * (encoded - 0.5)) * 0.5
    return (255 * np.clip(encoded, 0, 1) + 0.5).astype(np.uint8)
