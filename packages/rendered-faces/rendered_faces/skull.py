"""A person's scalp: where hair may grow, and coordinates for combing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces import paint
from rendered_faces.head import SKIN, Head, vertex_normals
from rendered_faces.light import unit
from rendered_faces.person import Person
from rendered_faces.rays import Mesh
from rendered_faces.wear import HIJAB, covered


@dataclass
class Roots:
    """Places on the scalp, (n, 3) each: position and normal in metres, template position, skull coordinates."""

    place: np.ndarray
    normal: np.ndarray
    template: np.ndarray
    skull: np.ndarray


class Skull:
    """A person's neutral head for growing hair: its surface, and coordinates from -1 to 1 over the skull."""

    def __init__(self, head: Head, neutral: np.ndarray) -> None:
        self.head, self.neutral = head, neutral
        self.skin = head.triangles[(head.part[head.triangles] == SKIN).all(1)]
        self.mesh = Mesh(neutral, self.skin)
        top = neutral[(head.part == SKIN) & (head.template[:, 2] > 0.76)]
        self.half = 0.5 * np.ptp(top, axis=0)
        self.centre = 0.5 * (top.min(0) + top.max(0))
        self.half[2] = 1.15 * self.half[0]
        self.centre[2] = top[:, 2].max() - self.half[2]

    def roots(self, person: Person, count: int, rng: np.random.Generator) -> Roots:
        """About `count` random places inside the hairline, sparser at its edge."""
        head = self.head
        usable = (paint.hair_depth(person, head.template) > -0.004) & ~(head.mask("ears", head.vertex_uv) > 0.3)
        scalp = self.skin[usable[self.skin].all(1)]
        a, b, c = (self.neutral[scalp[:, i]] for i in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        chosen = scalp[rng.choice(len(scalp), count, p=area / area.sum())]
        weights = rng.dirichlet([1, 1, 1], count)[:, :, None]
        normals = vertex_normals(self.neutral, self.skin)
        place, normal, template = ((v[chosen] * weights).sum(1) for v in (self.neutral, normals, head.template))
        kept = rng.random(count) < paint.ramp(paint.hair_depth(person, template), -0.003, 0.006)
        if person.look["cover"]:
            kept &= (covered(person.look["cover"], template) < -0.003) & (person.look["cover"] != HIJAB)
        return Roots(place[kept], unit(normal[kept]), template[kept], self.relative(place[kept]))

    def relative(self, points: np.ndarray) -> np.ndarray:
        """Skull coordinates of points (..., 3)."""
        return (points - self.centre) / self.half
