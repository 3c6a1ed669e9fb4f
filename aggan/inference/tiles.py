"""Views that translate an image at its own resolution, tile by tile.

`Tiles` are larger than the areas that they translate, by as much as the model sees around them, and all of them are
normalised by statistics of the whole image. So there are no seams: the result is that of the whole image at once, up to
the choice of these statistics. `BlendedTiles` are for models of a fixed size: neighbours are translated independently
and fade into each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.images.file import ImageFile
from aggan.images.png_rows import PngRows
from aggan.images.tiff_bands import TiffBands
from aggan.inference.compositing import (
    MIN_SIDE,
    STRIDE,
    Backend,
    LazyPrediction,
    MaskAndContent,
    composite,
    mask_and_content,
)
from aggan.inference.views import whole_image
from aggan.types import Image

_SAMPLES, _SAMPLE_SIDE = 4, 256
"""The statistics of a larger image are those of 4 x 4 squares of 256 pixels."""
_OVERLAP = 0.5
"""The least fraction of a tile that blended neighbours share."""

Rows = Callable[[slice], Float[Tensor, "1 3 rows w"]]
"""Some rows of an image in [-1, 1]."""
TrackBands = Callable[[Sequence["Span"]], Iterable["Span"]]
"""Passes bands on and shows the progress."""


@runtime_checkable
class TileBackend(Backend, Protocol):
    """A backend whose norms can be fixed."""

    def with_statistics_of(self, images: Image) -> Backend:
        """The backend whose instance norms normalise by the statistics of these parts of one image."""
        ...


class Span(NamedTuple):
    """Rows or columns that a tile translates, and those that it sees."""

    core: slice
    seen: slice


class Band(NamedTuple):
    """Rows of an image, and their prediction."""

    rows: slice
    prediction: MaskAndContent


@dataclass(frozen=True)
class Tiles:
    """Translate tiles of `side` x `side` pixels, which see `halo` pixels more than they translate on each side.

    Images with a side that is no multiple of `STRIDE` are continued by their edge. Raises `UserError` if nothing
    remains of a tile without its halo.
    """

    side: int
    halo: int
    """A multiple of `STRIDE`."""
    track: TrackBands = iter

    def __post_init__(self) -> None:
        if self.side < self.smallest_side:
            raise UserError(
                f"--tile-size {self.side} is smaller than what this model sees around a pixel: "
                f"it must be {self.smallest_side} or more"
            )

    @property
    def smallest_side(self) -> int:
        return 2 * self.halo + STRIDE

    def __call__(self, image: Float[Tensor, "1 3 h w"], backend: Backend) -> MaskAndContent:
        prediction = MaskAndContent(torch.empty_like(image[:, :1]), torch.empty_like(image))
        height, width = image.shape[-2:]
        for rows, (mask, content) in self.bands(lambda rows: image[..., rows, :], height, width, backend):
            prediction.mask[..., rows, :], prediction.content[..., rows, :] = mask, content
        return prediction

    def bands(self, image: Rows, height: int, width: int, backend: Backend) -> Iterator[Band]:
        """Translate an image in bands of rows, from top to bottom."""
        assert isinstance(backend, TileBackend)
        fixed = backend.with_statistics_of(_sample(image, height, width))
        for down in self.track(self._spans(height)):
            band = slice(down.core.start, min(down.core.stop, height))
            mask, content = self._band(_read(image, down.seen, height, width), down, fixed)
            inside = (..., slice(band.stop - band.start), slice(width))
            yield Band(band, MaskAndContent(mask[inside], content[inside]))
            del mask, content  # before the next band is read

    def _band(self, rows: Image, down: Span, backend: Backend) -> MaskAndContent:
        """Translate one band of tiles."""
        tiles = (
            _crop(mask_and_content(backend(rows[..., across.seen].contiguous())), down, across)
            for across in self._spans(rows.shape[-1])
        )
        masks, contents = zip(*tiles, strict=True)
        return MaskAndContent(torch.cat(masks, dim=-1), torch.cat(contents, dim=-1))

    def _spans(self, length: int) -> list[Span]:
        """The tiles along one side of the image. They begin and end at multiples of `STRIDE`."""
        length = _padded(length)
        if length <= self.side:
            return [Span(slice(0, length), slice(0, length))]
        core = (self.side - 2 * self.halo) // STRIDE * STRIDE
        spans = []
        for start in range(0, length, core):
            stop = min(start + core, length)
            spans.append(Span(slice(start, stop), slice(max(0, start - self.halo), min(stop + self.halo, length))))
        return spans


@dataclass(frozen=True)
class BlendedTiles:
    """Translate overlapping tiles of the model's size, and let each fade into its neighbours.

    An image with a side shorter than a tile is translated as a whole.
    """

    def __call__(self, image: Float[Tensor, "1 3 h w"], backend: Backend) -> LazyPrediction:
        side, (height, width) = backend.size, image.shape[-2:]
        if min(height, width) < side:
            return whole_image(image, backend)
        window = _window(side)
        weights = image.new_zeros(1, 1, height, width)
        mask, content = torch.zeros_like(weights), torch.zeros_like(image)
        for top, left in product(*(_starts(length, side, round(side * _OVERLAP)) for length in (height, width))):
            tile = (..., slice(top, top + side), slice(left, left + side))
            prediction = mask_and_content(backend(image[tile].contiguous()))
            weights[tile] += window
            mask[tile] += window * prediction.mask
            content[tile] += window * prediction.content
        return MaskAndContent(mask.div_(weights), content.div_(weights))


def translate_bands(
    source: TiffBands, backend: Backend, tiles: Tiles, strength: float = 1.0, parts: Sequence[PngRows] = ()
) -> Iterator[ImageFile]:
    """Translate a TIFF band by band. The two `parts`, if there are any, get mask and content."""

    def rows(band: slice) -> Float[Tensor, "1 3 rows w"]:
        return to_tensor(source.read(band).rgb8)[None]

    for band, prediction in tiles.bands(rows, source.height, source.width, backend):
        if parts:
            masks, contents = parts
            masks.write(prediction.mask_pixels()[..., None])
            contents.write(prediction.content_pixels())
        image = source.read(band)
        translated = composite(image.pixels, prediction, strength)
        del prediction  # before the next band is read
        yield image.with_pixels(translated)


def _sample(image: Rows, height: int, width: int) -> Image:
    """The image, or parts of it that are spread evenly, if it is too large."""
    sides = [_padded(length) for length in (height, width)]
    if sides[0] * sides[1] <= _SAMPLES**2 * _SAMPLE_SIDE**2:
        return _read(image, slice(0, sides[0]), height, width)
    down, across = ([slice(start, start + min(_SAMPLE_SIDE, side)) for start in _spread(side)] for side in sides)
    parts = []
    for rows in down:
        band = _read(image, rows, height, width)
        parts += [band[..., columns].contiguous() for columns in across]
    return torch.cat(parts)


def _spread(length: int) -> list[int]:
    """First pixels of the samples along one side, from edge to edge."""
    last = length - min(_SAMPLE_SIDE, length)
    return [round(k * last / (_SAMPLES - 1) / STRIDE) * STRIDE for k in range(_SAMPLES)] if last else [0]


def _padded(length: int) -> int:
    """The length up to a multiple of `STRIDE`, and at least `MIN_SIDE`."""
    return max(MIN_SIDE, -(-length // STRIDE) * STRIDE)


def _read(image: Rows, rows: slice, height: int, width: int) -> Image:
    """Rows of the image, which is continued by its edge to the padded size."""
    band = image(slice(rows.start, min(rows.stop, height)))
    right, bottom = _padded(width) - width, rows.stop - rows.start - band.shape[-2]
    return F.pad(band, (0, right, 0, bottom), "replicate") if right or bottom else band


def _crop(tile: MaskAndContent, down: Span, across: Span) -> MaskAndContent:
    """What a tile translates, without what it sees around it."""
    rows, columns = (
        slice(span.core.start - span.seen.start, span.core.stop - span.seen.start) for span in (down, across)
    )
    return MaskAndContent(tile.mask[..., rows, columns], tile.content[..., rows, columns])


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """First pixels of blended tiles, which share at least `overlap` pixels, evenly spaced from edge to edge."""
    count = 1 + -(-(length - side) // (side - overlap))
    return [round(k * (length - side) / max(1, count - 1)) for k in range(count)]


def _window(side: int) -> Float[Tensor, "side side"]:
    """Blending weights of a tile: sin^2, so that seams fade."""
    edge = torch.sin(torch.pi * (torch.arange(side) + 0.5) / side) ** 2
    return edge[:, None] * edge
