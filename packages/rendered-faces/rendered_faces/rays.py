"""Ray casting against triangle meshes on the CPU, through NVIDIA Warp (Apache-2.0, a dependency of anny).

The renderer needs three queries: the nearest hit of each camera ray, whether a light direction is blocked at each of
a list of points, and the nearest position outside of a mesh.
"""

from __future__ import annotations

import numpy as np
import warp as wp

wp.config.quiet = True
wp.init()

FAR = 1.0e6


@wp.kernel
def _nearest(
    mesh: wp.uint64,
    origins: wp.array(dtype=wp.vec3),
    rays: wp.array(dtype=wp.vec3),
    face: wp.array(dtype=wp.int32),
    hit: wp.array(dtype=wp.vec3),
) -> None:
    i = wp.tid()
    # One origin may serve all rays, and one ray all origins.
    origin = origins[i % origins.shape[0]]
    query = wp.mesh_query_ray(mesh, origin, rays[i % rays.shape[0]], FAR)
    face[i] = -1
    hit[i] = wp.vec3(0.0, 0.0, FAR)
    if query.result:
        face[i] = query.face
        hit[i] = wp.vec3(query.u, query.v, query.t)


@wp.kernel
def _visible(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    lights: wp.array(dtype=wp.vec3),
    out: wp.array2d(dtype=wp.float32),
) -> None:
    i, j = wp.tid()
    out[i, j] = 0.0
    # The cheap test comes first: half of all pairs need no ray.
    if wp.dot(normals[i], lights[j]) > 0.0:  # noqa: SIM102
        if not wp.mesh_query_ray_anyhit(mesh, points[i], lights[j], FAR):
            out[i, j] = 1.0


@wp.kernel
def _outside(mesh: wp.uint64, points: wp.array(dtype=wp.vec3), least: float, out: wp.array(dtype=wp.vec3)) -> None:
    i = wp.tid()
    p = points[i]
    out[i] = p
    query = wp.mesh_query_point_sign_normal(mesh, p, 1.0)
    if query.result:
        surface = wp.mesh_eval_position(mesh, query.face, query.u, query.v)
        normal = wp.mesh_eval_face_normal(mesh, query.face)
        if query.sign * wp.length(p - surface) < least:
            out[i] = surface + normal * least


def _vectors(values: np.ndarray) -> wp.array:
    return wp.array(np.ascontiguousarray(values, np.float32), dtype=wp.vec3, device="cpu")


class Mesh:
    """A triangle mesh with a bounding volume hierarchy."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self.triangles = triangles
        indices = wp.array(np.ascontiguousarray(triangles.ravel(), np.int32), dtype=wp.int32, device="cpu")
        self._mesh = wp.Mesh(_vectors(vertices), indices)

    def nearest(self, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Face index (-1 for a miss), barycentric weights (n, 3) and distance of each ray's nearest hit.

        Either of `origin` and `rays` may be a single vector (3,) for all.
        """
        origins, rays = np.atleast_2d(origin), np.atleast_2d(rays)
        count = max(len(origins), len(rays))
        face = wp.zeros(count, dtype=wp.int32, device="cpu")
        hit = wp.zeros(count, dtype=wp.vec3, device="cpu")
        wp.launch(_nearest, count, [self._mesh.id, _vectors(origins), _vectors(rays), face, hit], device="cpu")
        uvt = hit.numpy()
        weights = np.stack([uvt[:, 0], uvt[:, 1], 1.0 - uvt[:, 0] - uvt[:, 1]], axis=1)
        return face.numpy(), weights, uvt[:, 2]

    def visible(self, points: np.ndarray, normals: np.ndarray, lights: np.ndarray) -> np.ndarray:
        """Array (points, lights): 1 where the light direction is above the surface and unblocked, else 0."""
        out = wp.zeros((len(points), len(lights)), dtype=wp.float32, device="cpu")
        args = [self._mesh.id, _vectors(points), _vectors(normals), _vectors(lights), out]
        wp.launch(_visible, (len(points), len(lights)), args, device="cpu")
        return out.numpy()

    def outside(self, points: np.ndarray, least: float) -> np.ndarray:
        """Points (n, 3), with those moved out that are inside the surface or nearer to it than `least` metres."""
        out = wp.zeros(len(points), dtype=wp.vec3, device="cpu")
        wp.launch(_outside, len(points), [self._mesh.id, _vectors(points), float(least), out], device="cpu")
        return out.numpy().astype(np.float64)
