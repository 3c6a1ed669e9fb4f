"""An image file with everything it holds: depth, alpha, colour profile and metadata survive a translation.

A result is written in the format of its name. A JPEG keeps the quantization tables and the subsampling of its source;
encoding it again still changes decoded values slightly. Greyscale stays greyscale. Of several frames the first one is
read. Imports no torch.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt, UInt8
from PIL import Image as Pillow
from PIL import ImageFile as PillowFile

from aggan.images.ai_label import add_label
from aggan.images.decode import DARKEST, TooLarge, Unreadable, bits_of, describe_range, open_image, peak_of, to_rgb
from aggan.images.encodings import (
    DEFAULTS,
    MAX_XMP_BYTES,
    ORIENTATION,
    SaveOptions,
    encoding,
    format_of,
    metadata,
    place_xmp,
)
from aggan.images.formats import FORMATS
from aggan.images.opening import Source
from aggan.images.sixteen_bit import contract, has_16bit_colours, read_16bit, to_uint8, write_16bit
from aggan.io import write_atomic

Channels = UInt[np.ndarray, "h w c"]

_TO_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
"""By EXIF orientation."""
_INVERSE = {6: 8, 8: 6}
"""The other orientations are their own inverses."""
_RED, _GREEN, _BLUE = 19595, 38470, 7471
"""Luma of ITU-R BT.601 in 65,536ths, as in Pillow: equal channels give exactly their value."""


class Unwritable(Unreadable):
    """An image that cannot be written in the format of its name. The message names the file and the reason."""


@dataclass(frozen=True)
class ImageFile:
    """Upright pixels, and how they were stored."""

    pixels: UInt[np.ndarray, "h w 3"]
    """uint8 or uint16."""
    alpha: UInt[np.ndarray, "h w"] | None
    """Of the same dtype."""
    grey: bool
    orientation: int
    """EXIF orientation of the stored pixels, 1 to 8."""
    format: str
    encoding: SaveOptions
    metadata: SaveOptions
    bits: int = 16
    """Bits that a file of 16-bit channels uses. The pixels are scaled to 16."""
    ai_label: bool = False
    """Whether the metadata will say that a trained model changed the image."""

    @property
    def rgb8(self) -> UInt8[np.ndarray, "h w 3"]:
        """The pixels in 8 bits, transparent parts on white: the input of a model."""
        if self.alpha is None:
            return to_uint8(self.pixels)
        return np.array(to_rgb(Pillow.fromarray(to_uint8(np.dstack((self.pixels, self.alpha))))))

    @property
    def suffix(self) -> str:
        """The suffix of a file in this format, .png if the format cannot be written."""
        return next((suffix for suffix, format in FORMATS.items() if format == self.format), ".png")

    def with_pixels(self, pixels: UInt[np.ndarray, "h w 3"], ai_label: bool = False) -> "ImageFile":
        """A copy with other pixels, except where the image is fully transparent, and labelled if any pixel differs."""
        if self.alpha is not None:
            pixels = np.where(self.alpha[..., None] == 0, self.pixels, pixels)
        return replace(self, pixels=pixels, ai_label=ai_label and not np.array_equal(pixels, self.pixels))

    def save(self, path: Path) -> None:
        """Write the image in the format of `path`'s suffix, a key of `FORMATS`.

        In the format of its source it is stored with the same orientation, otherwise upright. Raises `Unwritable` if
        the format cannot hold it, `UserError` if writing fails.
        """
        try:
            write_atomic(path, partial(self._write, FORMATS[path.suffix.lower()]))
        except Unwritable as error:
            raise Unwritable(f"{path}: {error}") from error

    def encode(self, suffix: str) -> bytes:
        """The content of the file that `save` writes under a name with this suffix. Raises `Unwritable`."""
        stream = BytesIO()
        try:
            self._write(FORMATS[suffix], stream)
        except OSError as error:  # of the encoder, as no disk takes part
            raise Unwritable(f"cannot be written as {FORMATS[suffix]} ({error})") from error
        return stream.getvalue()

    def _write(self, format: str, target: Path | BytesIO) -> None:
        channels = self.channels(format)
        options = self.metadata | DEFAULTS[format]
        if format == self.format:
            options = self.metadata | self.encoding
            channels = _turn(channels, _INVERSE.get(self.orientation, self.orientation))
            if self.orientation in _TO_UPRIGHT:
                options["exif"][ORIENTATION] = self.orientation
        xmp = options.get("xmp")
        if self.ai_label:
            xmp = add_label(xmp, MAX_XMP_BYTES.get(format))
        if xmp:
            place_xmp(options, xmp, format)
        try:
            if channels.dtype == np.uint16:
                return write_16bit(target, contract(channels, self.bits), format, options)
            image = Pillow.fromarray(channels.squeeze(2) if channels.shape[2] == 1 else channels)
            return image.save(target, format, **options)
        except OSError:
            raise
        except Exception as error:  # encoders raise exceptions of many types
            raise Unwritable(f"cannot be written as {format} ({error})") from error

    def channels(self, format: str) -> Channels:
        """The pixels with as much depth and transparency as the format can hold."""
        pixels, alpha = self.pixels, self.alpha
        if format == "JPEG":
            pixels, alpha = self.rgb8, None
        colours = _luma(pixels) if self.grey and format != "WEBP" else pixels
        channels = colours if alpha is None else np.dstack((colours, alpha))
        return channels if format in ("PNG", "TIFF") else to_uint8(channels)


def read_image_file(source: Source, bits: int | None = None, max_pixels: float = inf) -> ImageFile:
    """Read an image file with everything it holds. Raises `aggan.images.decode.Unreadable`.

    `bits` are those that a 16-bit file uses. Without them, a file that probably uses fewer than 16 is `Unreadable`.
    With more than `max_pixels`, the file is `aggan.images.decode.TooLarge`.
    """
    with open_image(source) as file:
        if (pixels := file.width * file.height) > max_pixels:
            raise TooLarge(f"its {pixels / 1e6:,.0f} megapixels do not fit the memory that is free")
        return _read(source, file, bits)


def _read(source: Source, file: PillowFile.ImageFile, bits: int | None) -> ImageFile:
    is_turned = file.format == "TIFF"  # Pillow turns a TIFF upright when it decodes it, and drops its orientation
    orientation = _orientation(file) if is_turned else 1
    grey = file.mode in ("1", "L", "LA", "I", "F") or file.mode.startswith("I;16")
    has_colours = has_16bit_colours(file)
    deep = read_16bit(source, file, bits)  # before a PNG's EXIF data: Pillow decodes the image to find them
    if deep is None:
        channels = np.array(file.convert("RGBA") if file.has_transparency_data else to_rgb(file, bits))
        peak = None if bits else peak_of(source, file, file, has_colours)
    else:
        channels, peak = deep
    if peak is not None:
        require_clear_range(peak)
    if not is_turned:
        orientation = _orientation(file)
        channels = _turn(channels, orientation)
    pixels, alpha, one_colour = split_alpha(channels)
    # `metadata` comes last: it deletes tags, and some of them decide how the file is decoded.
    storage = format_of(file), encoding(source, file), metadata(file)
    return ImageFile(pixels, alpha, grey or one_colour, orientation, *storage, bits or 16)


class PixelsAndAlpha(NamedTuple):
    """The first fields of an `ImageFile`."""

    pixels: UInt[np.ndarray, "h w 3"]
    alpha: UInt[np.ndarray, "h w"] | None
    grey: bool


def split_alpha(channels: Channels) -> PixelsAndAlpha:
    """Split one to four channels: grey, grey and alpha, RGB, or RGBA."""
    grey = channels.shape[2] < 3
    if grey:
        channels = channels[..., [0, 0, 0, *range(1, channels.shape[2])]]
    return PixelsAndAlpha(channels[..., :3], channels[..., 3] if channels.shape[2] == 4 else None, grey)


def require_clear_range(peak: int) -> None:
    """Raise `Unreadable` if an image of 16 bits whose largest value is `peak` probably uses fewer bits."""
    if peak < DARKEST:
        raise Unreadable(f"{describe_range(peak)}: name them with --bits {bits_of(peak)}, or 16 if it is only dark")


def _orientation(file: PillowFile.ImageFile) -> int:
    exif = file.getexif()
    with suppress(Exception):  # `metadata` handles damaged data
        exif.tobytes()  # reads everything that the tags point to, as a TIFF is closed once it is decoded
    return exif.get(ORIENTATION, 1)


def _turn(channels: Channels, orientation: int) -> UInt[np.ndarray, "turned_h turned_w c"]:
    turn = _TO_UPRIGHT.get(orientation)
    return channels if turn is None else np.ascontiguousarray(turn(channels))


def _luma(pixels: UInt[np.ndarray, "h w 3"]) -> UInt[np.ndarray, "h w 1"]:
    red, green, blue = (pixels[..., k : k + 1].astype(np.uint32) for k in range(3))
    return ((red * _RED + green * _GREEN + blue * _BLUE + 32768) >> 16).astype(pixels.dtype)
