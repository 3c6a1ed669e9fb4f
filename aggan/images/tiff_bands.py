"""TIFF files that are read and written in bands of rows, so that memory does not grow with the image.

Needs the extra `tiff`. Pillow reads a TIFF as a whole. `open_bands` decodes only the strips or tiles of the rows that
are requested, and `TiffBands.write` stores a result in tiles, with the tags of its source. Imports no torch.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt
from PIL import Image as Pillow

from aggan.errors import UserError
from aggan.extras import require_module
from aggan.images.ai_label import add_label
from aggan.images.decode import Unreadable
from aggan.images.encodings import ORIENTATION, OTHER_IMAGES, STORAGE, XMP
from aggan.images.file import ImageFile, require_clear_range, split_alpha
from aggan.images.sixteen_bit import contract, expand

Band = UInt[np.ndarray, "rows w c"]
"""Rows of an image as stored: grey, grey and alpha, RGB, or RGBA, with 8 or 16 bits a channel."""

PURPOSE = "reading and writing TIFFs in bands"
TILE = 256
"""Side of the tiles that are written if the source has none."""
_MAX_SEGMENT_BYTES = 2**29
"""The largest strip that is decoded."""
_BUFFER_BYTES = 2**22
"""What is read at a time, and what is compressed at a time."""
_MAX_CLASSIC_BYTES = 2**32 - 2**26
"""Of pixels, compressed or not. Above, the file may not end below 4 GB, so that it is a BigTIFF."""
_NONE, _LZW, _OLD_DEFLATE, _DEFLATE, _LZMA, _ZSTD, _JPEG = 1, 5, 32946, 8, 34925, 50000, 7
_LOSSLESS = frozenset((_NONE, _LZW, _OLD_DEFLATE, _DEFLATE, _LZMA, _ZSTD))
"""Compressions of a source that its result keeps; others become deflate."""
_HORIZONTAL_DIFFERENCES = 2
_GREY, _RGB, _YCBCR = 1, 2, 6
_STRAIGHT_ALPHA = 2
_BYTE = 1
"""TIFF's type of XMP."""
_OF_JPEG = frozenset((347, *range(512, 522), *range(529, 533)))
"""Tags of JPEG data and of its colours, which are decoded to RGB."""
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_DIRECTORIES = frozenset((400, 34665, 34853, 40965))
"""Tags that point to directories of EXIF data. They cannot be copied."""


@contextmanager
def open_bands(path: Path, bits: int | None = None) -> Iterator["TiffBands | None"]:
    """Open a TIFF to read it in bands; None if only Pillow reads it, or the extra is missing.

    Bands have 8 or 16 bits a channel, which are interleaved, and are stored upright. A file with EXIF data is left to
    Pillow, which keeps them, unless it is too large for it. `bits` are those that a 16-bit file uses. Without them, a
    file that probably uses fewer than 16 is `Unreadable`, and so is a broken one.
    """
    tifffile = require_module("tifffile", "tiff", PURPOSE) if find_spec("tifffile") else None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its messages are for its own developers
    file = None
    with suppress(Exception):  # Pillow decides what is wrong with such a file, and says it
        file = tifffile and tifffile.TiffFile(path)
    if file is None:
        yield None
        return
    with file:
        with _reading(path):
            page = file.pages[0]
            bands = TiffBands(path, page, bits or 16) if _is_supported(page) else None
            if bands and not bits:
                bands.require_clear_range()
        yield bands


@dataclass(frozen=True)
class TiffBands:
    """An opened TIFF."""

    path: Path
    page: Any
    """tifffile's first page."""
    bits: int
    """Bits that 16-bit channels use; other files ignore it."""

    @property
    def height(self) -> int:
        return self.page.imagelength

    @property
    def width(self) -> int:
        return self.page.imagewidth

    def read(self, rows: slice) -> ImageFile:
        """Decode some rows. Raises `Unreadable`."""
        with _reading(self.path):
            band = self._stored(rows)
            if band.dtype == np.uint16:
                band = expand(band, self.bits)
        return ImageFile(*split_alpha(band), orientation=1, format="TIFF", encoding={}, metadata={}, bits=self.bits)

    def require_clear_range(self) -> None:
        """Raise `Unreadable` if the file has 16 bits a channel, but probably uses fewer."""
        if self.page.dtype != np.uint16:
            return
        peak = 0
        for top in range(0, self.height, TILE):
            channels = self._stored(slice(top, min(top + TILE, self.height)))
            colours = channels[..., :-1] if channels.shape[2] in (2, 4) else channels
            peak = max(peak, int(colours.max(initial=0)))
            with suppress(Unreadable):
                return require_clear_range(peak)
        require_clear_range(peak)

    def write(self, path: Path, bands: Iterable[ImageFile], ai_label: bool = False) -> None:
        """Write an image of the same size, depth and channels with the tags of this one.

        `bands` follow each other from top to bottom; each has any number of rows. With `ai_label` the image is labelled
        even if no pixel differs: the tags are written before the pixels.
        """
        tifffile, page, stored = require_module("tifffile", "tiff", PURPOSE), self.page, self._channels
        tags = {tag.code: tag for tag in page.tags}
        written = STORAGE | _OF_JPEG | {_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT}
        kept = [tag.astuple() for code, tag in tags.items() if code not in written | OTHER_IMAGES | _DIRECTORIES]
        if ai_label:
            xmp = add_label(tags[XMP].value if XMP in tags else None)
            kept = [*(tag for tag in kept if tag[0] != XMP), (XMP, _BYTE, len(xmp), xmp, True)]
        resolution = [tags[code].value for code in (_X_RESOLUTION, _Y_RESOLUTION) if code in tags]
        compression = page.compression if page.compression in _LOSSLESS else _DEFLATE
        differences = page.predictor == _HORIZONTAL_DIFFERENCES or page.compression not in _LOSSLESS
        tile = (page.tilelength, page.tilewidth) if page.is_tiled else (TILE, TILE)
        is_big = page.parent.is_bigtiff or page.nbytes > _MAX_CLASSIC_BYTES
        with tifffile.TiffWriter(path, bigtiff=is_big, byteorder=page.parent.byteorder) as writer:
            writer.write(
                self._tiles(bands, *tile),
                shape=(self.height, self.width, stored)[: 3 if stored > 1 else 2],
                dtype=page.dtype,
                photometric="rgb" if stored > 2 else "minisblack",
                planarconfig="contig" if stored > 1 else None,
                extrasamples=[_STRAIGHT_ALPHA] if stored in (2, 4) else None,
                tile=tile,
                compression=compression,
                predictor=_HORIZONTAL_DIFFERENCES if differences and compression != _NONE else None,
                resolution=resolution if len(resolution) == 2 else None,
                resolutionunit=tags[_RESOLUTION_UNIT].value if _RESOLUTION_UNIT in tags else None,
                software=False,
                metadata=None,
                extratags=kept,
                buffersize=_BUFFER_BYTES,
            )

    @property
    def _channels(self) -> int:
        return self.page.samplesperpixel

    def _stored(self, rows: slice) -> Band:
        page = self.page
        if page.is_contiguous and not page.is_tiled:
            return self._contiguous(rows)
        band = np.zeros((rows.stop - rows.start, self.width, self._channels), page.dtype)
        length, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, self.width)
        across = -(-self.width // width)
        indices = range(rows.start // length * across, -(-rows.stop // length) * across)
        offsets, counts = ([values[k] for k in indices] for values in (page.dataoffsets, page.databytecounts))
        for data, index in page.parent.filehandle.read_segments(offsets, counts, indices, buffersize=_BUFFER_BYTES):
            segment, (_, _, top, left, _), shape = page.decode(data, index, **_jpeg_tables(page))
            if segment is None:  # a sparse file leaves out what is empty
                continue
            start, stop = max(top, rows.start), min(top + shape[1], rows.stop)
            right = min(left + shape[2], self.width)
            visible = segment[0, start - top : stop - top, : right - left]
            band[start - rows.start : stop - rows.start, left:right] = visible
        return band

    def _contiguous(self, rows: slice) -> Band:
        """Rows of an uncompressed file, whose only strip may be larger than the memory."""
        dtype = self.page.dtype.newbyteorder(self.page.parent.byteorder)
        row, count = self.width * self._channels * dtype.itemsize, rows.stop - rows.start
        file = self.page.parent.filehandle
        file.seek(self.page.dataoffsets[0] + rows.start * row)
        data = file.read(count * row)
        if len(data) < count * row:
            raise Unreadable(f"{self.path}: broken image (the file is truncated)")
        return np.frombuffer(data, dtype).reshape(count, self.width, self._channels).astype(self.page.dtype)

    def _tiles(self, bands: Iterable[ImageFile], length: int, width: int) -> Iterator[UInt[np.ndarray, "*tile"]]:
        """The tiles of an image in their order."""
        dtype = self.page.dtype.newbyteorder(self.page.parent.byteorder)
        for rows in _regroup((self._as_stored(band) for band in bands), length):
            for left in range(0, self.width, width):
                tile = rows[:, left : left + width].astype(dtype)
                padding = ((0, length - tile.shape[0]), (0, width - tile.shape[1]), (0, 0))
                yield np.pad(tile, padding).squeeze(2) if self._channels == 1 else np.pad(tile, padding)

    def _as_stored(self, band: ImageFile) -> Band:
        channels = band.channels("TIFF")
        return contract(channels, self.bits) if channels.dtype == np.uint16 else channels


def _is_supported(page: Any) -> bool:
    channels, photometric = page.samplesperpixel, page.photometric
    is_colour = photometric == _RGB or (photometric == _YCBCR and page.compression == _JPEG)
    expected = {1: _GREY, 2: _GREY, 3: _RGB, 4: _RGB}.get(channels)
    alpha = (_STRAIGHT_ALPHA,) if channels in (2, 4) else ()
    has_exif = any(code in page.tags for code in _DIRECTORIES)
    too_large = page.imagelength * page.imagewidth > 2 * (Pillow.MAX_IMAGE_PIXELS or np.inf)
    orientation = page.tags.get(ORIENTATION)
    supported = (
        page.dtype in (np.uint8, np.uint16)
        and page.bitspersample in (8, 16)
        and (_RGB if is_colour else photometric) == expected
        and tuple(page.extrasamples) == alpha
        and (channels == 1 or page.planarconfig == 1)
        and page.imagedepth == 1
        and (orientation is None or orientation.value == 1)
        and (too_large or not has_exif)
    )
    if supported and not page.is_tiled and not page.is_contiguous:
        strip = page.rowsperstrip * page.imagewidth * channels * page.dtype.itemsize
        if min(strip, page.nbytes) > _MAX_SEGMENT_BYTES:
            if too_large:
                raise UserError(
                    f"it is compressed in strips of {page.rowsperstrip} rows, which are decoded as a whole: "
                    "store it in tiles (for example with tiffcp -t)"
                )
            return False
    return supported


def _jpeg_tables(page: Any) -> dict[str, Any]:
    return {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression == _JPEG else {}


def _regroup(bands: Iterable[Band], rows: int) -> Iterator[Band]:
    """The same image in bands of a fixed number of rows; the last one may have fewer."""
    rest: Band | None = None
    for band in bands:
        rest = band if rest is None else np.concatenate((rest, band))
        while len(rest) >= rows:
            yield rest[:rows]
            rest = rest[rows:]
    if rest is not None and len(rest):
        yield rest


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of decoding a file become `Unreadable`."""
    try:
        yield
    except Unreadable:
        raise
    except UserError as error:
        raise Unreadable(f"{path}: {error}") from None
    except Exception as error:  # decoders raise exceptions of many types
        reason = isinstance(error, OSError) and error.strerror
        message = f"cannot be read ({reason})" if reason else f"broken image ({' '.join(str(error).split())})"
        raise Unreadable(f"{path}: {message}") from None
