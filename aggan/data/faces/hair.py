"""Hair: shells over the scalp that get sparser outwards, and a curtain of long hair beside the face.

Made from the neutral head, so that it is the same in every picture of a person.
"""

from __future__ import annotations

import numpy as np

from . import paint
from .head import LEFT_EYE, SKIN, Head, vertex_normals
from .light import illuminate, middle, shine, unit
from .person import Person
from .rays import Mesh
from .scene import Light

SHELLS = 4
CURTAIN_ROWS, CURTAIN_COLUMNS = 24, 60

Layer = tuple[np.ndarray, np.ndarray, np.ndarray]


class Hair:
    """One person's hair, seen along a set of camera rays."""

    def __init__(self, head: Head, person: Person, light: Light, neutral: np.ndarray, noise: paint.Noise) -> None:
        self.head, self.person, self.light, self.neutral, self.noise = head, person, light, neutral, noise
        self.blocker = Mesh(neutral, head.triangles)

    def layers(self, origin: np.ndarray, rays: np.ndarray) -> list[Layer]:
        """Depth, colour and cover of each ray: the curtain, then the shells from the inside out."""
        head, look = self.head, self.person.look
        inside = paint.hair_depth(self.person, head.template)
        ears = head.mask("ears", head.vertex_uv) > 0.3
        scalp = (inside > -0.006) & ~ears & (head.part == SKIN)
        triangles = head.triangles[scalp[head.triangles].all(1)]
        normals = vertex_normals(self.neutral, head.triangles)
        thick = np.where(scalp, 0.001 + look["volume"] * paint.ramp(inside, -0.004, 0.03), 0)
        layers = []
        if look["long"]:
            vertices, sheet, places = self._curtain()
            layers.append(self._seen(origin, rays, vertices, sheet, places, 1.0)[:3])
        for level in (np.arange(SHELLS) + 1) / SHELLS:
            shell = self.neutral + normals * (thick * level)[:, None]
            depth, colour, cover, strand, points = self._seen(origin, rays, shell, triangles, head.template, level)
            edge = paint.ramp(paint.hair_depth(self.person, points) + 0.004 * strand, -0.002, 0.005)
            cover[cover > 0] = edge * paint.ramp(strand, level - 1.3, level - 0.7)
            layers.append((depth, colour, cover))
        return layers

    def _seen(
        self,
        origin: np.ndarray,
        rays: np.ndarray,
        vertices: np.ndarray,
        triangles: np.ndarray,
        places: np.ndarray,
        level: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One sheet: depth, colour and cover of each ray; strand noise and places of the rays that hit."""
        look = self.person.look
        normals = vertex_normals(vertices, triangles)
        used = np.unique(triangles)
        light = np.zeros_like(vertices)
        raised = vertices[used] + 0.002 * normals[used]
        light[used] = illuminate(self.light, self.blocker, raised, normals[used])[0]
        face, weights, depth = Mesh(vertices, triangles).nearest(origin, rays)
        hit = face >= 0
        values = np.concatenate([places, normals, light], axis=1)
        at = (values[triangles[face[hit]]] * weights[hit][:, :, None]).sum(1)
        strand = paint.strands(at[:, :3], self.noise, look["wave"])
        gloss = shine(unit(at[:, 3:6]) + 0.15 * strand[:, None], rays[hit], self.light.key, 12)
        colour = np.zeros((len(face), 3))
        colour[hit] = look["hair"] * (0.45 + 0.55 * level) * (1 + 0.45 * strand)[:, None] * at[:, 6:9]
        sheen = 0.03 * level * gloss * (1 + strand)
        colour[hit] += sheen[:, None] * (0.4 + look["hair"]) * self.light.key_colour
        return depth, colour, hit.astype(float), strand, at[:, :3]

    def _curtain(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A sheet around the back and sides: vertices, triangles, and where its strands are looked up."""
        look = self.person.look
        skull = self.neutral[(self.head.part == SKIN) & (self.head.template[:, 2] > 0.69)]
        centre, half = middle(skull), 0.5 * (skull.max(0) - skull.min(0))
        columns, rows = np.linspace(-118, 118, CURTAIN_COLUMNS), np.linspace(0.03, -0.22, CURTAIN_ROWS)
        turn, drop = np.meshgrid(np.radians(columns), rows)
        swell = 1 + 0.05 * np.sin(np.clip(-drop / 0.12, 0, 1) * np.pi)
        swell += 0.02 * look["wave"] * np.sin(drop * 60 + turn * 3)
        x = centre[0] + (half[0] + 0.2 * look["volume"]) * swell * np.sin(turn)
        y = centre[1] + half[1] * swell * np.cos(turn)
        z = middle(self.neutral[LEFT_EYE])[2] + drop
        vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
        k = np.arange(vertices.shape[0]).reshape(CURTAIN_ROWS, CURTAIN_COLUMNS)
        a, b, c, d = (part.ravel() for part in (k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]))
        # Seen from outside, this order makes the normals point away from the head.
        triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        return vertices, triangles, vertices - np.array([0.0, 0.1, 0.0])
