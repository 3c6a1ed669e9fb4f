"""A model of face crops looks at every face of a picture: find, align, translate, bring back.

Each face is brought by a similarity transform to where faces lie in the pictures that the model learned from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.images.convert import to_pixels
from aggan.inference.compositing import Backend, Layers, NothingSeen
from aggan.inference.landmarks import USUAL, Points
from aggan.inference.views import detailed, planes

Finder = Callable[[np.ndarray], list[np.ndarray]]
_BAND = 128
"""So many rows of a picture are painted at a time: large faces need little memory."""
_FEATHER = 0.12
"""Share of a crop's side over which it fades out at its edges."""


@dataclass(frozen=True)
class Faces:
    """The view of a model that knows face crops only; raises `NothingSeen` where there is no face."""

    find: Finder
    """Landmarks (points, 2) of each face in pixels (height, width, 3)."""
    place: Points = USUAL
    """Where the landmarks lie in the model's pictures, in shares of their side."""

    def __call__(self, picture: Float[Tensor, "1 3 h w"], model: Backend) -> Layers:
        faces = self.find(to_pixels(picture[0]))
        if not faces:
            raise NothingSeen("no face")
        layers = Layers(torch.zeros_like(picture[:, :1]), picture.clone())
        for landmarks in faces:
            lay_over(layers, picture, Similarity.between(np.array(self.place) * model.size, landmarks), model)
        return layers


class Similarity(NamedTuple):
    """From a crop's pixels to the picture's, as complex numbers x + iy: z becomes turn * z + shift."""

    turn: complex
    shift: complex

    @staticmethod
    def between(crop: np.ndarray, picture: np.ndarray) -> "Similarity":
        """That which brings points (n, 2) closest to others (least squares; Umeyama, 1991, without mirroring)."""
        z, w = crop @ (1, 1j), picture @ (1, 1j)
        centred = z - z.mean()
        turn = complex(np.vdot(centred, w - w.mean()) / np.vdot(centred, centred))
        return Similarity(turn, complex(w.mean() - turn * z.mean()))


def lay_over(layers: Layers, picture: Float[Tensor, "1 3 h w"], face: Similarity, model: Backend) -> None:
    """Lay what a model says of a face over what was said before."""
    seen = _crop(picture, face, model.size)
    brought = planes(seen, model(seen))
    rows, columns = _box(face, model.size, picture.shape[-2:])
    for top in range(rows.start, rows.stop, _BAND):
        band = slice(top, min(top + _BAND, rows.stop))
        if columns.start < columns.stop:
            _lay_band(layers, picture, (_points(band, columns) - face.shift) / face.turn, (band, columns), brought)


def _lay_band(
    layers: Layers,
    picture: Float[Tensor, "1 3 h w"],
    places: Tensor,
    region: tuple[slice, slice],
    said: Float[Tensor, "1 8 side side"],
) -> None:
    """Some rows of it: `places` in the crop belong to the pixels of the region."""
    place = (..., *region)
    mask, content = detailed(_sampled(said, places), picture[place])
    mask = mask * _fading(places, said.shape[-1])
    before = (1 - mask) * layers.mask[place]
    both = (mask + before).clamp(min=torch.finfo().tiny)
    layers.content[place] = (mask * content + before * layers.content[place]) / both
    layers.mask[place] = mask + before


def _crop(picture: Float[Tensor, "1 3 h w"], face: Similarity, side: int) -> Float[Tensor, "1 3 side side"]:
    """The face as the model knows faces; what lies outside the picture goes on as its edge."""
    finer = max(1, round(abs(face.turn)))
    rows = []
    for row in range(side):
        points = _points(slice(row * finer, (row + 1) * finer), slice(0, side * finer)) / finer
        rows.append(F.avg_pool2d(_sampled(picture, face.turn * points + face.shift), finer))
    return torch.cat(rows, dim=2).clamp(-1, 1)


def _box(face: Similarity, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the picture that the crop touches."""
    corners = face.turn * (np.array((0, 1, 1j, 1 + 1j)) * side) + face.shift
    (top, bottom), (left, right) = (
        np.clip((int(np.floor(ends.min())), int(np.ceil(ends.max()))), 0, length).tolist()
        for ends, length in zip((corners.imag, corners.real), shape, strict=True)
    )
    return slice(top, bottom), slice(left, right)


def _points(rows: slice, columns: slice) -> torch.Tensor:
    """The centres of pixels, x + iy."""
    y, x = (torch.arange(part.start, part.stop) + 0.5 for part in (rows, columns))
    return torch.complex(*torch.broadcast_tensors(x[None, :], y[:, None]))


def _sampled(image: Float[Tensor, "1 c h w"], places: torch.Tensor) -> Float[Tensor, "1 c h2 w2"]:
    """The picture's values at some places, bicubically."""
    height, width = image.shape[-2:]
    grid = torch.stack((places.real / width, places.imag / height), dim=-1)[None] * 2 - 1
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _fading(places: torch.Tensor, side: int) -> torch.Tensor:
    """1 inside a crop, falling smoothly to 0 at its edges and outside."""
    nearest = torch.minimum(
        torch.minimum(places.real, side - places.real), torch.minimum(places.imag, side - places.imag)
    )
    share = (nearest / (_FEATHER * side)).clamp(0, 1)
    return share * share * (3 - 2 * share)
