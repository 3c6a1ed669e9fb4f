"""Self-shadowing of hair, and its shadow on the skin, by ray marching through a grid of densities."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import grid_sample

from rendered_faces.light import unit
from rendered_faces.rays import Mesh

CELL = 0.006  # metres
MARCH = 14


class Volume:
    """Hair as absorbing fog: the density of a grid cell is the projected area of its hairs per volume."""

    def __init__(self, points: np.ndarray, width: np.ndarray) -> None:
        """Hairs as points (n, m, 3), with their width (n, m), in metres."""
        if not len(points):
            self.low, self.shape = np.zeros(3), np.array([2, 2, 2])
            self.grid = torch.zeros(1, 1, 2, 2, 2)
            return
        ends = np.concatenate([points[:, :-1].reshape(-1, 3), points[:, 1:].reshape(-1, 3)])
        length = np.linalg.norm(np.diff(points, axis=1), axis=2).ravel()
        area = np.tile(0.5 * length * width[:, 1:].ravel(), 2)
        self.low = ends.min(0) - 2 * CELL
        self.shape = np.maximum(np.ceil((ends.max(0) + 2 * CELL - self.low) / CELL).astype(int), 2)
        cell = np.ravel_multi_index(((ends - self.low) / CELL).astype(int).T, self.shape)
        density = np.bincount(cell, area, int(np.prod(self.shape))) / CELL**3
        self.grid = torch.from_numpy(density.reshape(self.shape).astype(np.float32))[None, None]

    def at(self, points: np.ndarray, grid: torch.Tensor) -> np.ndarray:
        """Values of a grid at points (n, 3); 0 outside of it."""
        place = (points - self.low) / CELL * (2 / self.shape) - 1
        place = torch.from_numpy(place[:, ::-1].astype(np.float32).copy())[None, None, None]
        return grid_sample(grid, place, align_corners=False)[0, 0, 0, 0].numpy()

    def transmitted(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Share of light from a direction that reaches points (n, 3) through the hair."""
        steps = CELL * 1.25 ** np.arange(MARCH)
        away = np.cumsum(steps) - 0.4 * steps
        thick = np.zeros(len(points))
        for distance, step in zip(away, steps, strict=True):
            thick += step * self.at(points + distance * direction, self.grid)
        return np.exp(-0.5 * thick)

    def lit(self, direction: np.ndarray, head: Mesh, centre: np.ndarray) -> torch.Tensor:
        """Grid of the share of light from a direction that gets past hair and head to each cell with hair."""
        filled = np.argwhere(self.grid[0, 0].numpy() > 0)
        place = self.low + (filled + 0.5) * CELL
        share = self.transmitted(place, direction)
        raised = place + 1.5 * CELL * unit(place - centre)
        share *= head.visible(raised, np.broadcast_to(direction, raised.shape), direction[None])[:, 0]
        grid = np.ones(self.shape, np.float32)
        grid[tuple(filled.T)] = share
        return torch.from_numpy(grid)[None, None]
