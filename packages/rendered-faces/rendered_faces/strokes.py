"""Draw hairs: thin antialiased strokes over an image, from back to front, each tested against the image's depth.

A stroke is a straight piece of a hair, at most a few pixels wide. One loop on one thread blends the strokes in the
given order, so the same strokes always give the same image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

from rendered_faces.light import Camera

wp.config.quiet = True
wp.init()


@dataclass
class Hairs:
    """Hairs of one kind: points (n, m, 3) and width (n, m) in metres, colour (n, m, 3), opacity (n, m)."""

    points: np.ndarray
    width: np.ndarray
    colour: np.ndarray
    cover: np.ndarray


def no_hairs() -> Hairs:
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
    image: wp.array(dtype=wp.vec3),
    share: wp.array(dtype=wp.float32),
) -> None:
    for k in range(count):
        i = order[k]
        a = start[i]
        b = end[i]
        w = width[i]
        # A stroke thinner than a pixel covers it partly.
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
                        image[at] = image[at] * (1.0 - alpha) + colour[i] * alpha
                        share[at] = share[at] * (1.0 - alpha) + alpha


class Strokes:
    """Hairs as a camera sees them, sorted by depth. They can be drawn over many images."""

    def __init__(self, hairs: Hairs, camera: Camera, pixels: int) -> None:
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

    def draw(self, image: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The image (pixels ** 2, 3) with the strokes drawn over it, and the share of each pixel that they cover."""
        canvas, share = _vec3(image), wp.zeros(len(image), dtype=wp.float32, device="cpu")
        wp.launch(_blend, 1, [self.count, self.pixels, *self._strokes, _floats(depth), canvas, share], device="cpu")
        return canvas.numpy().astype(np.float64), share.numpy()


def _vec3(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.vec3, device="cpu")


def _floats(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.float32, device="cpu")
