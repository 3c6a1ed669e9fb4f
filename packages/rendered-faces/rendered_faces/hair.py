"""Hair as many strands: guides grow from the scalp, and strands follow their nearest guides.

Hair grows on the neutral head, so it is the same in every image of a person in a scene.
"""

from __future__ import annotations

import numpy as np

from rendered_faces import paint
from rendered_faces.cuts import CUTS, NAMES, Cut
from rendered_faces.head import Head
from rendered_faces.light import unit
from rendered_faces.person import Person
from rendered_faces.scene import Light
from rendered_faces.skull import Roots, Skull
from rendered_faces.strokes import Hairs, no_hairs
from rendered_faces.volume import Volume

GUIDES = 420
STRAND = 0.00042  # metres; hairs are thinner, but there are more of them


def lengths(cut: Cut, roots: Roots, scale: float) -> np.ndarray:
    """Length of hair at each root, in metres: shorter at the sides, the nape and over the forehead."""
    x, y, z = roots.skull.T
    low = paint.ramp(-z, -0.5, 0.15)
    share = 1 + (cut.sides - 1) * low
    if cut.fringe:
        front = paint.ramp(-y, 0.15, 0.6) * paint.ramp(-np.abs(x), -0.85, -0.6)
        share = share + (cut.fringe - share) * front
    return scale * cut.length * share


def grow(skull: Skull, cut: Cut, roots: Roots, scale: float) -> np.ndarray:
    """Guides as points (n, steps + 1, 3): each grows along the comb, then downwards, and never into the head."""
    step = (lengths(cut, roots, scale) / cut.steps)[:, None]
    place = roots.place + 0.001 * roots.normal
    heading = unit(cut.lift * roots.normal + 0.5 * _along(cut, roots.skull, roots.skull))
    points = [roots.place]
    for k in range(cut.steps):
        share = k / cut.steps
        wish = _along(cut, skull.relative(place), roots.skull) * (1 - 0.75 * share)
        wish = wish + cut.gravity * (0.35 + share) * np.array([0.0, 0.0, -1.0])
        heading = unit(0.62 * heading + 0.38 * wish)
        place = skull.mesh.outside(place + step * heading, 0.0015 + 0.004 * share)
        points.append(place)
    return np.stack(points, axis=1)


def _along(cut: Cut, at: np.ndarray, root: np.ndarray) -> np.ndarray:
    """The comb's direction, projected onto the skull as far as the cut hugs it."""
    wish, out = unit(cut.comb(at, root)), unit(at)
    return unit(wish - cut.hug * np.maximum((wish * out).sum(1, keepdims=True), 0) * out)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances (n, m) of points (n, 3) to points (m, 3), by one matrix product because there are millions."""
    apart = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.maximum(apart, 0)


def follow(cut: Cut, guides: Roots, grown: np.ndarray, roots: Roots) -> np.ndarray:
    """Strands (n, steps + 1, 3): a weighted mean of the three nearest guides on the same side of the parting."""
    apart = squared_distances(roots.skull, guides.skull)
    apart += 9.0 * ((roots.skull[:, None, 0] > cut.part) != (guides.skull[None, :, 0] > cut.part))
    near = min(3, len(grown))
    nearest = np.argpartition(apart, near - 1, axis=1)[:, :near]
    weight = 1 / (np.take_along_axis(apart, nearest, 1) + 1e-4)
    weight /= weight.sum(1, keepdims=True)
    course = grown - grown[:, :1]
    return roots.place[:, None] + (course[nearest] * weight[:, :, None, None]).sum(1)


def style(cut: Cut, skull: Skull, roots: Roots, strands: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add volume, curls, locks and flyaway ends to strands."""
    n, m = strands.shape[:2]
    t = np.linspace(0, 1, m)[None, :, None]
    strands = roots.place[:, None] + (strands - roots.place[:, None]) * rng.uniform(0.82, 1, (n, 1, 1))
    outward = unit(skull.relative(strands).reshape(-1, 3) * np.array([1, 1, 0.6])).reshape(n, m, 3)
    rise = np.minimum(1, 4 * t) * cut.volume
    strands = strands + outward * rise * rng.random((n, 1, 1))
    leader = rng.integers(0, n, max(n // 22, 1))
    apart = squared_distances(roots.skull, roots.skull[leader])
    apart += 9.0 * ((roots.skull[:, None, 0] > cut.part) != (roots.skull[leader][None, :, 0] > cut.part))
    lock = apart.argmin(1)
    pull = cut.clump * t**1.3 * rng.uniform(0.4, 1, (n, 1, 1))
    strands = strands + pull * (strands[leader][lock] - strands)
    if cut.curl:
        phase = rng.uniform(0, 2 * np.pi, len(leader))[lock] + rng.normal(0, 0.5, n)
        along = np.linalg.norm(np.diff(strands, axis=1, prepend=strands[:, :1]), axis=2).cumsum(1)
        turn = 2 * np.pi * cut.turns * along + phase[:, None]
        side = unit(np.cross(outward.reshape(-1, 3), [0.1, 0.2, 1.0])).reshape(n, m, 3)
        ring = np.cos(turn)[:, :, None] * side + np.sin(turn)[:, :, None] * outward
        strands = strands + cut.curl * np.minimum(1, 3 * t) * ring * rng.uniform(0.6, 1.2, (n, 1, 1))
    stray = rng.normal(0, 1, (n, 1, 3)) * t**2 + rng.normal(0, 0.35, (n, 1, 3)) * np.sin(5 * t)
    loose = np.where(rng.random((n, 1, 1)) < 0.04, 2.0, 1.0)
    return strands + cut.frizz * loose * stray


class Hair:
    """One person's hair in the light of a scene; `hairs` is empty if no hair is visible."""

    def __init__(self, head: Head, person: Person, light: Light, neutral: np.ndarray) -> None:
        self.person, self.light = person, light
        cut = CUTS[NAMES[int(person.look["cut"])]]
        rng = np.random.default_rng([person.noise_seed, 1])
        skull = Skull(head, neutral)
        guides = skull.roots(person, GUIDES, rng)
        roots = skull.roots(person, cut.count, rng)
        if not len(roots.place) or not len(guides.place):  # all hair is covered
            self.hairs, self.volume = no_hairs(), Volume(np.zeros((0, 2, 3)), np.zeros((0, 2)))
            return
        grown = grow(skull, cut, guides, person.look["length"])
        points = style(cut, skull, roots, follow(cut, guides, grown, roots), rng)
        width = STRAND * rng.uniform(0.7, 1.3, (len(points), 1)) * np.linspace(1, 0.45, points.shape[1])
        self.volume = Volume(points, width)
        self.hairs = Hairs(points, width, self._shade(skull, points, rng), self._cover(skull, cut, points, rng))

    def _cover(self, skull: Skull, cut: Cut, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        tip = np.linspace(0, 1, points.shape[1])
        x, y, z = np.moveaxis(skull.relative(points), 2, 0)
        over_face = paint.ramp(-np.abs(x), -0.85, -0.7) * paint.ramp(-y, 0.5, 0.6)
        floor = cut.floor + (cut.bangs - cut.floor) * over_face
        height = z + rng.normal(0, 0.05, (len(points), 1)) - floor
        # A hair that is cut does not reappear where the floor is lower.
        uncut = np.minimum.accumulate(paint.ramp(height, -0.04, 0.04), axis=1)
        return (0.95 - 0.5 * tip**3) * uncut

    def _shade(self, skull: Skull, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Colour (n, m, 3) after Kajiya and Kay (1989), with a second, coloured highlight and self-shadowing."""
        n, m = points.shape[:2]
        look, light = self.person.look, self.light
        grey = np.clip(look["grey"] + rng.normal(0, 0.35, n) * np.sqrt(look["grey"] * (1 - look["grey"])), 0, 1)
        tint = paint.mix(look["hair"], look["grey_colour"], grey) * rng.normal(1, 0.16, (n, 1)).clip(0.5, 1.6)
        tint = tint * np.array([1 + rng.normal(0, 0.04), 1, 1])
        flat = points.reshape(-1, 3)
        tangent = unit(np.gradient(points, axis=1).reshape(-1, 3))
        jitter = np.repeat(rng.normal(0, 0.07, n), m)
        colour = np.zeros((n * m, 3))
        view = np.array([0.0, -1.0, 0.0])
        tips = np.tile(np.linspace(0.75, 1.15, m), n)
        base = np.repeat(tint, m, axis=0) * tips[:, None]
        for towards, amount in ((light.key, light.key_colour), (light.fill, light.fill_colour)):
            through = self.volume.at(flat, self.volume.lit(towards, skull.mesh, skull.centre))
            along = tangent @ towards
            diffuse = np.sqrt(np.clip(1 - along**2, 0, 1))
            half = unit((towards + view)[None])[0]
            lobes = [np.clip(1 - (tangent @ half + shift + jitter) ** 2, 0, 1) for shift in (-0.08, 0.12)]
            sheen = 0.045 * lobes[0][:, None] ** 60 + 0.9 * base * lobes[1][:, None] ** 20
            colour += through[:, None] * amount * (0.75 * base * diffuse[:, None] + 0.55 * sheen)
        open_sky = self.volume.at(flat, self.volume.lit(np.array([0.0, -0.5, 0.86]), skull.mesh, skull.centre))
        colour += (0.25 + 0.75 * open_sky)[:, None] * light.sky_colour * base * 0.75
        return colour.reshape(n, m, 3)
