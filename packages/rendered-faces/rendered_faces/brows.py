"""Brows, lashes and beards: short hairs that are rooted in the skin and move with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_faces import paint
from rendered_faces.head import SKIN, Head
from rendered_faces.light import unit
from rendered_faces.person import Person
from rendered_faces.rays import Mesh
from rendered_faces.strokes import Hairs

BROW, BEARD, LASH = 620, 13000, 95  # hairs of one brow, of a whole face, and of one lid
POINTS = 5


@dataclass
class Rooted:
    """Hairs by their roots on the skin, triangle corners (n, 3) and barycentric weights (n, 3), and their look."""

    corners: np.ndarray
    weights: np.ndarray
    length: np.ndarray
    lean: np.ndarray
    """Direction in template axes, (n, 3); it is projected onto the skin."""
    lift: np.ndarray
    """Amount of the skin's normal in the direction, at the root and at the tip: (n, 2)."""
    width: float
    colour: np.ndarray


def on_skin(head: Head, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners and weights of the skin in front of (x, z) on the template."""
    start = np.stack([x, np.full_like(x, -0.4), z], axis=1)
    face, weights = Mesh(head.template, head.triangles).nearest(start, np.array([0.0, 1.0, 0.0]))[:2]
    return head.triangles[face], weights


def brows(head: Head, person: Person, rng: np.random.Generator) -> Rooted:
    """Both brows. Hairs rise at the inner end and lie flat at the outer end."""
    look, n = person.look, int(2 * BROW * person.look["brow_density"])
    along = rng.beta(1.1, 1.15, n) * 1.06 - 0.02
    across = rng.normal(0, 0.42, n).clip(-1, 1)
    side = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    width = look["brow_width"] * (1.05 - 0.72 * along.clip(0, 1)) * np.minimum(1, 0.55 + 5 * along.clip(0, 1))
    middle = look["brow_height"] + look["brow_arch"] * np.sin(np.pi * along.clip(0, 1.15) ** 1.35) - 0.002 * along**2
    corners, weights = on_skin(head, side * (0.0125 + 0.036 * along), middle + across * width)
    # The upper hairs comb down and the lower ones up, so that they meet in a line.
    rise = 1.5 * (1 - along.clip(0, 1)) ** 1.5 - 0.55 * across * along + rng.normal(0, 0.22, n)
    lean = np.stack([side, np.zeros(n), rise], axis=1)
    length = rng.uniform(0.004, 0.0072, n) * (0.75 + 0.25 * np.sin(np.pi * along.clip(0, 1)))
    lift = np.stack([np.full(n, 0.28), np.full(n, 0.02)], axis=1)
    return Rooted(corners, weights, length, lean, lift, 0.00026, _tint(look["brow"], look["grey"] * 0.5, look, n, rng))


def beard(head: Head, person: Person, noise: paint.Noise, rng: np.random.Generator) -> Rooted | None:
    """Stubble, moustache, goatee or full beard according to the look; None without a beard."""
    look = person.look
    if not look["beard"]:
        return None
    near = head.template[:, 2]
    usable = (head.part == SKIN) & (near > 0.57) & (near < 0.70) & (head.template[:, 1] < 0.0)
    face = head.triangles[usable[head.triangles].all(1)]
    a, b, c = (head.template[face[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    corners = face[rng.choice(len(face), BEARD, p=area / area.sum())]
    weights = rng.dirichlet([1, 1, 1], BEARD)
    at = (head.template[corners] * weights[:, :, None]).sum(1)
    uv = (head.vertex_uv[corners] * weights[:, :, None]).sum(1)
    where = (
        paint.beard_cover(person, at, noise) * (head.mask("lips", uv) < 0.25) * (head.mask("inside-mouth", uv) < 0.2)
    )
    kept = rng.random(BEARD) < where
    corners, weights, at = corners[kept], weights[kept], at[kept]
    n = len(at)
    above = paint.spot(at, (0.0, 0.676), (0.03, 0.007))
    lean = np.stack([np.sign(at[:, 0]) * (0.15 + 1.1 * above), np.zeros(n), -1 + 0.4 * above], axis=1)
    lean += rng.normal(0, 0.25, (n, 3))
    length = look["beard_length"] * rng.uniform(0.6, 1.2, n) * (1 - 0.45 * above)
    steep = min(0.9, 0.0035 / look["beard_length"])
    lift = np.stack([np.full(n, 0.5 + steep), np.full(n, 0.15)], axis=1)
    colour = _tint(0.85 * look["hair"], look["grey"], look, n, rng)
    return Rooted(corners, weights, length, lean, lift, 0.00024, colour)


def _tint(colour: np.ndarray, grey: float, look: dict, n: int, rng: np.random.Generator) -> np.ndarray:
    varied = colour * rng.normal(1, 0.2, (n, 1)).clip(0.4, 1.7)
    return np.where(rng.random((n, 1)) < grey, 0.8 * look["grey_colour"], varied)


def hairs(rooted: Rooted, vertices: np.ndarray, normals: np.ndarray, light: np.ndarray) -> Hairs:
    """The hairs on a pose of the skin, with the light that arrives at its vertices, (n, 3)."""
    w = rooted.weights[:, :, None]
    root, normal, lit = ((v[rooted.corners] * w).sum(1) for v in (vertices, normals, light))
    normal = unit(normal)
    flat = unit(rooted.lean - (rooted.lean * normal).sum(1, keepdims=True) * normal)
    points = [root - 0.0002 * normal]
    for k in range(POINTS - 1):
        share = k / (POINTS - 2)
        rise = rooted.lift[:, :1] * (1 - share) + rooted.lift[:, 1:] * share
        points.append(points[-1] + unit(flat + rise * normal) * (rooted.length / (POINTS - 1))[:, None])
    n = len(root)
    tip = np.linspace(0, 1, POINTS)
    colour = (rooted.colour * (0.25 + 0.75 * lit) + 0.012 * lit)[:, None] * (1 + 0.25 * tip)[None, :, None]
    width = np.broadcast_to(rooted.width * (1 - 0.6 * tip), (n, POINTS))
    return Hairs(np.stack(points, axis=1), width, colour, np.broadcast_to(1 - 0.35 * tip**2, (n, POINTS)))


def lashes(head: Head, person: Person, vertices: np.ndarray) -> Hairs:
    """Lashes of all four lids, along the strips that the model moves with them."""
    rng = np.random.default_rng([person.noise_seed, 3])
    curves, t = [], np.linspace(0, 1, POINTS)[None, :, None]
    for k, (root, tip) in enumerate(head.lash_strips):
        upper = k % 2 == 0
        n = LASH if upper else LASH // 3
        place = np.sort(rng.uniform(0.03, 0.97, n)) * (len(root) - 1)
        low, share = place.astype(int), (place % 1)[:, None]
        start = vertices[root][low] * (1 - share) + vertices[root][low + 1] * share
        spread = (place + rng.normal(0, 0.35, n)).clip(0, len(root) - 1.01)
        low, share = spread.astype(int), (spread % 1)[:, None]
        end = vertices[tip][low] * (1 - share) + vertices[tip][low + 1] * share
        reach = (end - start) * (person.look["lashes"] * rng.uniform(0.6, 1.0, (n, 1)) * (0.9 if upper else 0.4))
        curl = np.array([0.0, 0.0, -0.0018 if upper else 0.0008]) * np.sin(np.pi * t)
        curves.append(start[:, None] + reach[:, None] * t + curl)
    points = np.concatenate(curves)
    shape = points.shape[:2]
    width = np.broadcast_to(0.00024 * (1 - 0.75 * t[:, :, 0]), shape)
    return Hairs(points, width, np.full((*shape, 3), 0.006), np.full(shape, 0.9))
