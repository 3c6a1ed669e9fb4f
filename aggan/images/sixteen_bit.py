"""PNG and TIFF files of 16 bits a channel, which Pillow reads and writes for greyscale only.

Pillow decodes such a file to the high byte of each value. With the opposite byte order it decodes the low byte: two
passes give the exact values, whatever the compression. Files that use fewer bits, 12 for many cameras, are scaled to
16 when they are read, and back when they are written. Imports no torch.
"""

import re
import struct
import zlib
from collections.abc import Mapping
from contextlib import nullcontext
from io import BufferedWriter, BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt, UInt8, UInt16
from PIL import Image as Pillow
from PIL import TiffImagePlugin
from PIL.ImageFile import ImageFile

from aggan.errors import UserError
from aggan.images.opening import Source, open_file
from aggan.images.png_rows import PngRows

PEAK = 65535
_RAW_MODE = re.compile(r"(RGBA?);16([BLN])")
_SWAPPED = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
_DEFLATE, _HORIZONTAL_DIFFERENCES = 8, 2
_WHITE_IS_ZERO, _SEPARATE_PLANES = 0, 2


class OutOfRange(UserError):
    """An image with values that its bits cannot hold, or whose bits cannot be changed."""


class SixteenBit(NamedTuple):
    """A decoded image of 16 bits a channel."""

    channels: UInt16[np.ndarray, "h w c"]
    """Grey, grey and alpha, RGB, or RGBA, scaled to all 16 bits if the bits are known."""
    peak: int | None
    """The largest value of the colours as stored; None if the bits are known."""


def read_16bit(source: Source, file: ImageFile, bits: int | None = None) -> SixteenBit | None:
    """Decode a PNG or TIFF of 16 bits a channel, opened from `source` as `file`; None if it has fewer bits.

    `bits` are those that it uses. Raises `OutOfRange` if there are larger values.
    """
    raw_mode = _raw_mode_of(file)
    tags = file.tag_v2 if isinstance(file, TiffImagePlugin.TiffImageFile) else {}
    # With separate planes, the second pass would give the high bytes again.
    separate = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _SEPARATE_PLANES
    if "transparency" in file.info or separate:
        return None
    if raw_mode == "I;12":
        return _scale(np.asarray(file)[..., None], 12)
    if raw_mode.startswith("I;16") and file.mode.startswith("I"):
        grey, inverted = np.asarray(file), tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
        if grey.max(initial=0) <= 255 and not (bits or inverted):  # some 8-bit values are stored in 16 bits
            return None
        deep = _scale(grey[..., None], bits)
        return deep._replace(channels=PEAK - deep.channels) if inverted else deep
    if raw_mode == "LA;16B" and file.mode == "RGBA":
        return _scale(np.ascontiguousarray(_decode_as(source, "RGBA")).view(">u2"), bits)
    if match := _RAW_MODE.fullmatch(raw_mode):
        swapped = f"{match[1]};16{_SWAPPED[match[2]]}"
        return _scale(np.asarray(file).astype(np.uint16) << 8 | _decode_as(source, swapped), bits)
    return None


def has_16bit_colours(file: ImageFile) -> bool:
    """Whether an opened file, not decoded yet, has colours of 16 bits, which Pillow reduces to 8."""
    return file.mode in ("RGB", "RGBA") and ";16" in _raw_mode_of(file)


def _scale(values: UInt[np.ndarray, "h w c"], bits: int | None) -> SixteenBit:
    colours = values[..., :-1] if values.shape[2] in (2, 4) else values
    return SixteenBit(expand(values, bits or 16), None if bits else int(colours.max(initial=0)))


def require_within(peak: int | float, bits: int) -> None:
    """Raise `OutOfRange` unless a value needs at most this number of bits."""
    if peak > 2**bits - 1:
        raise OutOfRange(f"it has values up to {peak:g}, more than {bits} bits hold")


def expand(values: UInt[np.ndarray, "*shape"], bits: int) -> UInt16[np.ndarray, "*shape"]:
    """Scale values of `bits` bits to 16. Raises `OutOfRange` if there are larger ones."""
    require_within(int(values.max(initial=0)), bits)
    return _rescale(values, 2**bits - 1, PEAK)


def contract(values: UInt16[np.ndarray, "*shape"], bits: int) -> UInt16[np.ndarray, "*shape"]:
    """Scale values of 16 bits to fewer, the inverse of `expand`."""
    return _rescale(values, PEAK, 2**bits - 1)


def _rescale(values: UInt[np.ndarray, "*shape"], old: int, new: int) -> UInt16[np.ndarray, "*shape"]:
    """Scale values up to `old` to values up to `new`, rounded."""
    if old == new:
        return values.astype(np.uint16)
    return ((values.astype(np.uint64) * new + old // 2) // old).astype(np.uint16)


def to_uint8(values: UInt[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Scale values of 16 bits to 8; values of 8 bits stay."""
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def write_16bit(
    target: Path | BytesIO, pixels: UInt16[np.ndarray, "h w c"], format: str, metadata: Mapping[str, Any]
) -> None:
    """Write 1 to 4 channels of 16 bits as `PNG` or `TIFF`, deflated.

    `metadata` are options of Pillow's `save`: `icc_profile`, `exif`, `dpi` and, in a PNG, `xmp` are written, others
    ignored.
    """
    with target.open("wb") if isinstance(target, Path) else nullcontext(target) as stream:
        (_write_png if format == "PNG" else _write_tiff)(stream, pixels, metadata)


def _raw_mode_of(file: ImageFile) -> str:
    """Pillow's name for how the pixels of an opened file, not decoded yet, are stored; empty if parts differ."""
    raw_modes = {_raw_mode(tile.args) for tile in file.tile}
    return raw_modes.pop() if len(raw_modes) == 1 else ""


def _raw_mode(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _decode_as(source: Source, raw_mode: str) -> np.ndarray:
    """Decode the file once more, with another raw mode."""
    with open_file(source) as copy:
        copy.tile = [tile._replace(args=_with_raw_mode(tile.args, raw_mode)) for tile in copy.tile]
        return np.asarray(copy)


def _with_raw_mode(arguments: Any, raw_mode: str) -> Any:
    return raw_mode if isinstance(arguments, str) else (raw_mode, *arguments[1:])


def _write_png(stream: BufferedWriter | BytesIO, pixels: np.ndarray, metadata: Mapping[str, Any]) -> None:
    with PngRows(stream, *pixels.shape, bits=16) as png:
        if profile := metadata.get("icc_profile"):
            png.chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
        if dpi := metadata.get("dpi"):
            png.chunk(b"pHYs", struct.pack(">IIB", *(round(float(value) / 0.0254) for value in dpi), 1))
        if xmp := metadata.get("xmp"):
            png.write_xmp(xmp)
        if exif := metadata.get("exif"):
            png.chunk(b"eXIf", exif.tobytes(8).removeprefix(b"Exif\0\0"))
        png.write(pixels)


def _write_tiff(stream: BufferedWriter | BytesIO, pixels: np.ndarray, metadata: Mapping[str, Any]) -> None:
    if pixels.shape[2] == 2:  # Pillow reads no 16-bit TIFF of grey and alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    height, width, channels = pixels.shape
    differences = pixels.astype("<u2")
    differences[:, 1:] -= pixels[:, :-1]
    data = zlib.compress(differences.tobytes())
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = metadata.get("exif", Pillow.Exif())
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TiffImagePlugin.TiffTags.TAGS_V2_GROUPS else exif[tag]
    if profile := metadata.get("icc_profile"):
        tags[TiffImagePlugin.ICCPROFILE] = profile
    if dpi := metadata.get("dpi"):
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = map(float, dpi)
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (16,) * channels
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 2 if channels > 2 else 1
    if channels in (2, 4):
        tags[TiffImagePlugin.EXTRASAMPLES] = 2
    tags[TiffImagePlugin.COMPRESSION], tags[TiffImagePlugin.PREDICTOR] = _DEFLATE, _HORIZONTAL_DIFFERENCES
    tags[TiffImagePlugin.ROWSPERSTRIP] = height
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # Pillow adds the size of the directory
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = len(data)
    tags.save(stream)
    stream.write(data)
