"""Pictures of 16 bits a channel, which Pillow reads and writes for greys only: PNG and TIFF.

Pillow's decoders unpack such a file to the high byte of each value. Told that its bytes lie the other
way round, they unpack the low one: two passes give the exact values, whatever the compression.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL import TiffImagePlugin

PEAK = 65535
_RAW = re.compile(r"(RGBA?);16([BLN])")
_OTHER = {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}
_DEFLATE, _SUB = 8, 2
_WHITE_IS_ZERO, _APART = 0, 2
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels, and PNG's number of such pictures."""
XMP_IN_PNG = b"XML:com.adobe.xmp" + bytes(5)
"""What stands before XMP in a PNG's `iTXt` chunk, where it is not compressed and in no language."""


def read_deep(file: Pillow.Image) -> np.ndarray | None:
    """The values (height, width, channels) in uint16 of an opened PNG or TIFF; None where it has fewer bits.

    The channels are grey, grey and alpha, RGB, or RGBA.
    """
    raws = {_raw(tile[3]) for tile in getattr(file, "tile", ())}
    tags = getattr(file, "tag_v2", {})
    # Of planes that lie apart, the second pass would give the high bytes again.
    if len(raws) != 1 or "transparency" in file.info or tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _APART:
        return None
    (raw,) = raws
    if re.match(r"I;16", raw) and file.mode.startswith("I"):
        grey = np.asarray(file)
        if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
            grey = PEAK - grey
        # Bytes that were stored in words are no deep picture.
        return grey.astype(np.uint16)[..., None] if grey.max(initial=0) > 255 else None
    if raw == "LA;16B" and file.mode == "RGBA":
        return np.ascontiguousarray(_decoded(file, "RGBA")).view(">u2").astype(np.uint16)
    if found := _RAW.fullmatch(raw):
        swapped = f"{found[1]};16{_OTHER[found[2]]}"
        return np.asarray(file).astype(np.uint16) << 8 | _decoded(file, swapped)
    return None


def write_deep(path: Path, pixels: np.ndarray, kind: str, kept: dict[str, Any]) -> None:
    """Write uint16 values (height, width, channels) as `PNG` or `TIFF`, deflated.

    Of `kept`, in Pillow's words, `icc_profile`, `exif`, `dpi` and, in a PNG, `xmp` go with them.
    """
    with path.open("wb") as stream:
        (_write_png if kind == "PNG" else _write_tiff)(stream, pixels, kept)


def _raw(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else str(arguments[0])


def _decoded(file: Pillow.Image, raw: str) -> np.ndarray:
    """The file's bytes once more, unpacked in another way."""
    with Pillow.open(file.filename) as again:  # type: ignore[attr-defined]
        again.tile = [tile._replace(args=_renamed(tile.args, raw)) for tile in again.tile]
        return np.asarray(again)


def _renamed(arguments: Any, raw: str) -> Any:
    return raw if isinstance(arguments, str) else (raw, *arguments[1:])


def _write_png(stream: BinaryIO, pixels: np.ndarray, kept: dict[str, Any]) -> None:
    height, width, channels = pixels.shape
    lines = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    step = 2 * channels
    filtered = np.empty((height, 1 + lines.shape[1]), np.uint8)
    filtered[:, 0] = 1  # each byte less the one of the pixel before it
    filtered[:, 1 : 1 + step] = lines[:, :step]
    filtered[:, 1 + step :] = lines[:, step:] - lines[:, :-step]
    stream.write(b"\x89PNG\r\n\x1a\n")
    _chunk(stream, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOURS[channels], 0, 0, 0))
    if profile := kept.get("icc_profile"):
        _chunk(stream, b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if dpi := kept.get("dpi"):
        _chunk(stream, b"pHYs", struct.pack(">IIB", *(round(float(value) / 0.0254) for value in dpi), 1))
    if xmp := kept.get("xmp"):
        _chunk(stream, b"iTXt", XMP_IN_PNG + xmp)
    if exif := kept.get("exif"):
        _chunk(stream, b"eXIf", exif.tobytes(8).removeprefix(b"Exif\0\0"))
    _chunk(stream, b"IDAT", zlib.compress(filtered.tobytes()))
    _chunk(stream, b"IEND", b"")


def _chunk(stream: BinaryIO, name: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))


def _write_tiff(stream: BinaryIO, pixels: np.ndarray, kept: dict[str, Any]) -> None:
    if pixels.shape[2] == 2:  # Pillow reads no TIFF of deep greys with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    height, width, channels = pixels.shape
    steps = pixels.astype("<u2")
    steps[:, 1:] -= pixels[:, :-1]
    data = zlib.compress(steps.tobytes())
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    exif = kept.get("exif", Pillow.Exif())
    for tag in exif:
        tags[tag] = exif.get_ifd(tag) if tag in TiffImagePlugin.TiffTags.TAGS_V2_GROUPS else exif[tag]
    if profile := kept.get("icc_profile"):
        tags[TiffImagePlugin.ICCPROFILE] = profile
    if dpi := kept.get("dpi"):
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = map(float, dpi)
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (16,) * channels
    tags[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 2 if channels > 2 else 1
    if channels in (2, 4):
        tags[TiffImagePlugin.EXTRASAMPLES] = 2
    tags[TiffImagePlugin.COMPRESSION], tags[TiffImagePlugin.PREDICTOR] = _DEFLATE, _SUB
    tags[TiffImagePlugin.ROWSPERSTRIP] = height
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # Pillow adds where the directory ends
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = len(data)
    tags.save(stream)
    stream.write(data)
