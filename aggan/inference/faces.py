"""The view of a model of face crops: every face is found, aligned, translated and pasted back.

A similarity transform maps each face to the place where faces lie in the model's training images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex64, Float, Float64
from torch import Tensor
from torch.nn import functional as F

from aggan.images.convert import to_pixels
from aggan.inference.alignment import DEFAULT_LANDMARKS, Alignment, alignment_of
from aggan.inference.compositing import Backend, MaskAndContent, NothingToTranslate
from aggan.inference.landmarks import FaceFinder, FindFaces
from aggan.inference.views import restore_detail, stack_planes

_BAND = 128
"""Rows pasted at a time, so that large faces need little memory."""
_FEATHER = 0.12
"""Fraction of a crop's side over which the mask fades out at the edges."""


@dataclass(frozen=True)
class Faces:
    """Translate every face. Raises `NothingToTranslate` if the image shows none."""

    find: FindFaces
    alignment: Alignment = DEFAULT_LANDMARKS

    def __call__(self, image: Float[Tensor, "1 3 h w"], backend: Backend) -> MaskAndContent:
        faces = self.find(to_pixels(image[0]))
        if not faces:
            raise NothingToTranslate("no face")
        canvas = blank(image)
        for landmarks in faces:
            transform = Similarity.fit(np.array(self.alignment) * backend.size, landmarks)
            paste_face(canvas, image, transform, backend)
        return canvas


def faces_view(model: str | Path, report: Callable[[str], object]) -> Faces:
    """The view for one model. It serves one thread at a time. The arguments are those of `alignment_of`.

    Raises `UserError` if the extra `faces` is not installed, or if there is no such model.
    """
    finder = FaceFinder()
    return Faces(finder, alignment_of(model, finder, report))


class Similarity(NamedTuple):
    """The map z -> linear * z + offset from a crop's pixels to the image's, as complex numbers z = x + iy."""

    linear: complex
    """Rotation and scale."""
    offset: complex

    @staticmethod
    def fit(source: Float64[np.ndarray, "p 2"], target: Float64[np.ndarray, "p 2"]) -> "Similarity":
        """The least-squares similarity from source to target points, without reflection (Umeyama, 1991)."""
        z, w = source @ (1, 1j), target @ (1, 1j)
        centred = z - z.mean()
        linear = complex(np.vdot(centred, w - w.mean()) / np.vdot(centred, centred))
        return Similarity(linear, complex(w.mean() - linear * z.mean()))

    def after(self, first: "Similarity") -> "Similarity":
        """The map that applies `first`, then this one."""
        return Similarity(self.linear * first.linear, self.linear * first.offset + self.offset)


def blank(image: Float[Tensor, "1 3 h w"]) -> MaskAndContent:
    """A prediction that changes nothing, to paste faces onto."""
    return MaskAndContent(torch.zeros_like(image[:, :1]), image.clone())


def paste_face(
    canvas: MaskAndContent, image: Float[Tensor, "1 3 h w"], transform: Similarity, backend: Backend
) -> None:
    """Translate one face of the image, and composite its mask and content over the canvas in place."""
    crop = crop_face(image, transform, backend.size)
    planes = stack_planes(crop, backend(crop))
    rows, columns = _bounding_box(transform, backend.size, image.shape[-2:])
    for top in range(rows.start, rows.stop, _BAND):
        band = slice(top, min(top + _BAND, rows.stop))
        if columns.start < columns.stop:
            in_crop = (_pixel_centres(band, columns) - transform.offset) / transform.linear
            _paste_band(canvas, image, in_crop, (band, columns), planes)


def _paste_band(
    canvas: MaskAndContent,
    image: Float[Tensor, "1 3 h w"],
    in_crop: Complex64[Tensor, "h2 w2"],
    region: tuple[slice, slice],
    planes: Float[Tensor, "1 8 side side"],
) -> None:
    """Paste one region of the image; `in_crop` holds the crop coordinates of its pixels."""
    at = (..., *region)
    mask, content = restore_detail(_sample(planes, in_crop), image[at])
    mask = mask * _feather(in_crop, planes.shape[-1])
    below = (1 - mask) * canvas.mask[at]
    total = (mask + below).clamp(min=torch.finfo().tiny)
    canvas.content[at] = (mask * content + below * canvas.content[at]) / total
    canvas.mask[at] = mask + below


def crop_face(image: Float[Tensor, "1 3 h w"], transform: Similarity, side: int) -> Float[Tensor, "1 3 side side"]:
    """The aligned face, antialiased by supersampling. Outside the image, its edge is repeated."""
    factor = max(1, round(abs(transform.linear)))
    rows = []
    for row in range(side):
        points = _pixel_centres(slice(row * factor, (row + 1) * factor), slice(0, side * factor)) / factor
        rows.append(F.avg_pool2d(_sample(image, transform.linear * points + transform.offset), factor))
    return torch.cat(rows, dim=2).clamp(-1, 1)


def _bounding_box(transform: Similarity, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the image that the crop touches."""
    corners = transform.linear * (np.array((0, 1, 1j, 1 + 1j)) * side) + transform.offset
    (top, bottom), (left, right) = (
        np.clip((int(np.floor(ends.min())), int(np.ceil(ends.max()))), 0, length).tolist()
        for ends, length in zip((corners.imag, corners.real), shape, strict=True)
    )
    return slice(top, bottom), slice(left, right)


def _pixel_centres(rows: slice, columns: slice) -> Complex64[Tensor, "h w"]:
    """x + iy of each pixel's centre."""
    y, x = (torch.arange(part.start, part.stop) + 0.5 for part in (rows, columns))
    return torch.complex(*torch.broadcast_tensors(x[None, :], y[:, None]))


def _sample(image: Float[Tensor, "1 c h w"], points: Complex64[Tensor, "h2 w2"]) -> Float[Tensor, "1 c h2 w2"]:
    """Bicubic samples of the image at some points."""
    height, width = image.shape[-2:]
    grid = torch.stack((points.real / width, points.imag / height), dim=-1)[None] * 2 - 1
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _feather(points: Complex64[Tensor, "h w"], side: int) -> Float[Tensor, "h w"]:
    """1 inside a crop, falling smoothly (smoothstep) to 0 at its edges and outside."""
    distance = torch.minimum(
        torch.minimum(points.real, side - points.real), torch.minimum(points.imag, side - points.imag)
    )
    t = (distance / (_FEATHER * side)).clamp(0, 1)
    return t * t * (3 - 2 * t)
