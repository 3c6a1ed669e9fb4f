"""Draw hairs: thin antialiased strokes laid over a picture from back to front, each tested against its depth.

A stroke is a piece of a hair, straight and no wider than a few pixels. Strokes are blended in the given
order by one loop on one thread, so the same strokes always give the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

wp.config.quiet = True
wp.init()


@dataclass
class Hairs:
    """Hairs of one kind: points (n, m, 3) in metres, width (n, m) in metres, colour (n, m, 3), cover (n, m)."""

    points: np.ndarray
    width: np.ndarray
    colour: np.ndarray
    cover: np.ndarray


def nothing() -> Hairs:
    """No hairs."""
    return Hairs(np.zeros((0, 2, 3)), np.zeros((0, 2)), np.zeros((0, 2, 3)), np.zeros((0, 2)))


@wp.kernel
def _blend(
    count: int,
    size: int,
    start: wp.array(dtype=wp.vec3),
    end: wp.array(dtype=wp.vec3),
    width: wp.array(dtype=wp.float32),
    colour: wp.array(dtype=wp.vec3),
    cover: wp.array(dtype=wp.float32),
    order: wp.array(dtype=wp.int32),
    depth: wp.array(dtype=wp.float32),
    picture: wp.array(dtype=wp.vec3),
    share: wp.array(dtype=wp.float32),
) -> None:
    for k in range(count):
        i = order[k]
        a = start[i]
        b = end[i]
        w = width[i]
        # A stroke thinner than a pixel covers it in part.
        thick = wp.max(w, 1.0)
        reach = 0.5 * thick + 0.5
        dx = b[0] - a[0]
        dy = b[1] - a[1]
        square = dx * dx + dy * dy + 1.0e-9
        for y in range(wp.max(0, int(wp.min(a[1], b[1]) - reach)), wp.min(size, int(wp.max(a[1], b[1]) + reach) + 1)):
            for x in range(
                wp.max(0, int(wp.min(a[0], b[0]) - reach)), wp.min(size, int(wp.max(a[0], b[0]) + reach) + 1)
            ):
                px = float(x) + 0.5 - a[0]
                py = float(y) + 0.5 - a[1]
                t = (px * dx + py * dy) / square
                # Half open, so that neighbouring pieces of a hair do not cover a pixel twice.
                if t >= 0.0 and t < 1.0:
                    away = wp.abs(px * dy - py * dx) / wp.sqrt(square)
                    at = y * size + x
                    if away < reach and a[2] + t * (b[2] - a[2]) < depth[at]:
                        alpha = cover[i] * wp.min(w / thick, 1.0) * wp.min(reach - away, 1.0)
                        picture[at] = picture[at] * (1.0 - alpha) + colour[i] * alpha
                        share[at] = share[at] * (1.0 - alpha) + alpha


class Strokes:
    """Hairs as a camera sees them, sorted; may be drawn over many pictures."""

    def __init__(self, hairs: Hairs, camera: object, pixels: int) -> None:
        x, y, depth = camera.project(hairs.points, pixels)
        seen = np.stack([x, y, depth], axis=-1)
        wide = hairs.width * (0.5 * pixels / np.linalg.norm(camera.right) / depth)
        start, end = seen[:, :-1].reshape(-1, 3), seen[:, 1:].reshape(-1, 3)
        mean = [0.5 * (v[:, :-1] + v[:, 1:]) for v in (wide, hairs.colour, hairs.cover)]
        low, high = np.minimum(start, end)[:, :2], np.maximum(start, end)[:, :2]
        kept = (high > -4).all(1) & (low < pixels + 4).all(1) & (mean[2].reshape(-1) > 0.004)
        start, end = start[kept], end[kept]
        order = np.argsort(-(start[:, 2] + end[:, 2]), kind="stable").astype(np.int32)
        self.count, self.pixels = len(start), pixels
        self._strokes = [
            _vec3(start),
            _vec3(end),
            _floats(mean[0].reshape(-1)[kept]),
            _vec3(mean[1].reshape(-1, 3)[kept]),
            _floats(mean[2].reshape(-1)[kept]),
            wp.array(order, dtype=wp.int32, device="cpu"),
        ]

    def draw(self, picture: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The picture (pixels ** 2, 3) with the strokes on it, and the share of each pixel that they cover."""
        canvas, share = _vec3(picture), wp.zeros(len(picture), dtype=wp.float32, device="cpu")
        wp.launch(_blend, 1, [self.count, self.pixels, *self._strokes, _floats(depth), canvas, share], device="cpu")
        return canvas.numpy().astype(np.float64), share.numpy()


def _vec3(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.vec3, device="cpu")


def _floats(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.float32, device="cpu")
