"""Catmull-Clark subdivision (Catmull and Clark, 1978) of a quad mesh as one sparse matrix.

The matrix depends on the faces alone, so it is computed once and then refines any pose of the mesh.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch


def _sparse(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> torch.Tensor:
    places = torch.from_numpy(np.stack([rows, columns]).astype(np.int64))
    return torch.sparse_coo_tensor(
        places, torch.from_numpy(values.astype(np.float64)), shape, check_invariants=False
    ).coalesce()


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse.mm(a, b)


def by_rows(matrix: torch.Tensor) -> torch.Tensor:
    """A sparse matrix in the layout that multiplies fastest (CSR), without torch's warning that it is in beta state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return matrix.coalesce().float().to_sparse_csr()


def _edges(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unique edges (e, 2), and the edge from each corner of each quad to the next, (q, 4)."""
    sides = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
    edges, which = np.unique(np.sort(sides, axis=1), axis=0, return_inverse=True)
    return edges, which.reshape(-1, 4)


def subdivide(quads: np.ndarray, count: int) -> tuple[torch.Tensor, np.ndarray]:
    """Matrix from `count` old vertices to the new ones, and the new quads, four in a row for each old one.

    Old vertices keep their indices; edge points follow, then face points.
    """
    edges, side = _edges(quads)
    q, e, ones = len(quads), len(edges), np.ones(len(quads) * 4)
    face = _sparse(np.repeat(np.arange(q), 4), quads.ravel(), 0.25 * ones, (q, count))
    uses = np.bincount(side.ravel(), minlength=e)
    border = uses < 2
    middle = _sparse(np.repeat(np.arange(e), 2), edges.ravel(), np.full(2 * e, 0.5), (e, count))
    # An inner edge's point is the mean of its middle and of the mean of its two faces.
    beside = _sparse(side.ravel(), np.repeat(np.arange(q), 4), np.where(border[side.ravel()], 0, 0.25), (e, q))
    keep = _sparse(np.arange(e), np.arange(e), np.where(border, 1.0, 0.5), (e, e))
    edge = _product(keep, middle) + _product(beside, face)
    old = _old_points(quads, edges, border, count, (face, middle))
    corner = np.stack([quads, count + side, np.full((q, 4), 0), count + np.roll(side, 1, axis=1)], axis=-1)
    corner[:, :, 2] = (count + e + np.arange(q))[:, None]
    return by_rows(torch.cat([old, edge.coalesce(), face])), corner.reshape(-1, 4)


def subdivide_corners(values: np.ndarray) -> np.ndarray:
    """Values at the corners of the new quads, (4 q, 4, c), from those at the old ones' corners (q, 4, c)."""
    half = 0.5 * (values + np.roll(values, -1, axis=1))
    middle = np.broadcast_to(values.mean(1, keepdims=True), values.shape)
    return np.stack([values, half, middle, np.roll(half, 1, axis=1)], axis=2).reshape(-1, 4, values.shape[2])


def _old_points(
    quads: np.ndarray, edges: np.ndarray, border: np.ndarray, count: int, parts: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """(mean of faces + 2 mean of edge middles + (n - 3) vertex) / n inside, (edge middles + vertex) / 2 on a border."""
    face, middle = parts
    n = np.bincount(quads.ravel(), minlength=count).astype(float)
    on_border, used = np.zeros(count, bool), n > 0
    on_border[edges[border]] = True
    inner = used & ~on_border
    safe = np.maximum(n, 1)
    at_face = _sparse(
        quads.ravel(), np.repeat(np.arange(len(quads)), 4), (inner / safe**2)[quads.ravel()], (count, len(quads))
    )
    weight = np.where(border[:, None], 0.25 * on_border[edges], 2 * (inner / safe**2)[edges])
    at_edge = _sparse(edges.ravel(), np.repeat(np.arange(len(edges)), 2), weight.ravel(), (count, len(edges)))
    stay = np.where(inner, (n - 3) / safe, np.where(on_border, 0.5, 1.0))
    itself = _sparse(np.arange(count), np.arange(count), stay, (count, count))
    return (_product(at_face, face) + _product(at_edge, middle) + itself).coalesce()
