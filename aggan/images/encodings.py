"""How an image file was encoded, and its metadata, as options of Pillow's `save`.

Imports no torch.
"""

import os
from typing import Any

from PIL import Image as Pillow
from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from aggan.images.opening import Source
from aggan.images.png_rows import XMP_IN_PNG

SaveOptions = dict[str, Any]

DEFAULTS: dict[str, SaveOptions] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
"""Encoding of an output whose source has another format."""

ORIENTATION, XMP = 0x0112, 700
_WEBP_QUALITY = 90
_ICC = 34675
STORAGE = frozenset((*range(254, 260), 262, 266, ORIENTATION, 273, *range(277, 282), 284, *range(317, 326), 338, 339))
"""TIFF tags that describe how the pixels are stored."""
OTHER_IMAGES = frozenset((330, 34377, 37724))
"""TIFF tags of smaller copies, Photoshop's thumbnail and its layers: they would show the original face."""
MAX_XMP_BYTES = {"JPEG": 65_504}
"""Most bytes of XMP that a file of a format can hold."""
_JPEG_EXIF_BYTES = 65_521
"""Most bytes of EXIF data that a JPEG can hold, less an entry for the orientation."""
_LOSSLESS_TIFF = frozenset(("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd"))
_OTHER_COLOUR_SPACES = frozenset(("CMYK", "LAB", "YCbCr", "HSV"))


def format_of(file: ImageFile) -> str:
    """Pillow's name of the format. The MPO files of cameras are JPEGs."""
    return "JPEG" if isinstance(file, JpegImagePlugin.JpegImageFile) else str(file.format)


def encoding(source: Source, file: ImageFile) -> SaveOptions:
    """Options that encode pixels as a file is encoded, which was opened from `source`.

    JPEG: quantization tables, subsampling, progressive or not. WebP: lossless or not; a lossy file does not store its
    quality, so 90 is taken. TIFF: the compression, if it is lossless.
    """
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(file)
        progressive = bool(file.info.get("progressive"))
        return {"qtables": file.quantization, "subsampling": max(sampling, 0), "progressive": progressive}
    if isinstance(file, WebPImagePlugin.WebPImageFile):
        return DEFAULTS["WEBP"] if _is_lossless(source) else {"quality": _WEBP_QUALITY}
    if file.format == "TIFF" and file.info.get("compression") in _LOSSLESS_TIFF:
        return {"compression": file.info["compression"]}
    return DEFAULTS.get(format_of(file), {})


def metadata(file: ImageFile) -> SaveOptions:
    """Resolution, XMP, ICC profile and EXIF data of an opened file, the latter without orientation and thumbnail.

    `place_xmp` puts the XMP where `save` takes it from. EXIF data that cannot be written again are left out: damaged
    ones, and those that are too long for a JPEG.
    """
    exif = file.getexif()
    xmp = file.info.get("xmp") or exif.get(XMP)
    for tag in (STORAGE | OTHER_IMAGES | {_ICC, XMP}) & set(exif):
        del exif[tag]
    options: SaveOptions = {"xmp": xmp if isinstance(xmp, bytes) else None}
    options |= {key: file.info.get(key) for key in ("dpi", "icc_profile")}
    if file.mode in _OTHER_COLOUR_SPACES:  # such a profile does not describe RGB
        del options["icc_profile"]
    options = {key: value for key, value in options.items() if value}
    return options | {"exif": exif if _is_writable(exif, format_of(file)) else Pillow.Exif()}


def place_xmp(options: SaveOptions, xmp: bytes, format: str) -> None:
    """Add XMP to options of `save`, where Pillow's writer of this format takes it from."""
    options["xmp"] = xmp
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"iTXt", XMP_IN_PNG + xmp)
    if format == "TIFF":
        options["exif"][XMP] = xmp


def _is_writable(exif: Pillow.Exif, format: str) -> bool:
    try:
        return len(exif.tobytes()) <= _JPEG_EXIF_BYTES or format != "JPEG"
    except Exception:  # Pillow raises exceptions of many types for damaged data
        return False


def _is_lossless(webp: Source) -> bool:
    with webp.open("rb") as stream:
        stream.seek(12)
        while header := stream.read(8):
            name, length = header[:4], int.from_bytes(header[4:], "little")
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            stream.seek(length + length % 2, os.SEEK_CUR)
    return False
