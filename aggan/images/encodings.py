"""How an image file was encoded, and its metadata, as options of Pillow's `save`.

Imports no torch.
"""

import os
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from aggan.images.sixteen_bit import XMP_IN_PNG

SaveOptions = dict[str, Any]

DEFAULTS: dict[str, SaveOptions] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
"""Encoding of an output whose source has another format."""

ORIENTATION = 0x0112
_WEBP_QUALITY = 90
_ICC = 34675
STORAGE = frozenset((*range(254, 260), 262, 266, ORIENTATION, 273, *range(277, 282), 284, *range(317, 326), 338, 339))
"""TIFF tags that describe how the pixels are stored."""
OTHER_IMAGES = frozenset((330, 34377, 37724))
"""TIFF tags of smaller copies, Photoshop's thumbnail and its layers: they would show the original face."""
_JPEG_EXIF_BYTES = 65_521
"""Most bytes of EXIF data that a JPEG can hold, less an entry for the orientation."""
_LOSSLESS_TIFF = frozenset(("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd"))
_OTHER_COLOUR_SPACES = frozenset(("CMYK", "LAB", "YCbCr", "HSV"))


def format_of(file: ImageFile) -> str:
    """Pillow's name of the format. The MPO files of cameras are JPEGs."""
    return "JPEG" if isinstance(file, JpegImagePlugin.JpegImageFile) else str(file.format)


def encoding(file: ImageFile) -> SaveOptions:
    """Options that encode pixels as an opened file is encoded.

    JPEG: quantization tables, subsampling, progressive or not. WebP: lossless or not; a lossy file does not store its
    quality, so 90 is taken. TIFF: the compression, if it is lossless.
    """
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(file)
        progressive = bool(file.info.get("progressive"))
        return {"qtables": file.quantization, "subsampling": max(sampling, 0), "progressive": progressive}
    if isinstance(file, WebPImagePlugin.WebPImageFile):
        return DEFAULTS["WEBP"] if _is_lossless(file) else {"quality": _WEBP_QUALITY}
    if file.format == "TIFF" and file.info.get("compression") in _LOSSLESS_TIFF:
        return {"compression": file.info["compression"]}
    return DEFAULTS.get(format_of(file), {})


def metadata(file: ImageFile) -> SaveOptions:
    """Resolution, XMP, ICC profile and EXIF data of an opened file, the latter without orientation and thumbnail.

    EXIF data that cannot be written again are left out: damaged ones, and those that are too long for a JPEG.
    """
    exif = file.getexif()
    for tag in (STORAGE | OTHER_IMAGES | {_ICC}) & set(exif):
        del exif[tag]
    options: SaveOptions = {key: file.info.get(key) for key in ("dpi", "xmp", "icc_profile")}
    if file.mode in _OTHER_COLOUR_SPACES:  # such a profile does not describe RGB
        del options["icc_profile"]
    if isinstance(xmp := options["xmp"], bytes):
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add(b"iTXt", XMP_IN_PNG + xmp)
    options = {key: value for key, value in options.items() if value}
    return options | {"exif": exif if _is_writable(exif, format_of(file)) else Pillow.Exif()}


def _is_writable(exif: Pillow.Exif, format: str) -> bool:
    try:
        return len(exif.tobytes()) <= _JPEG_EXIF_BYTES or format != "JPEG"
    except Exception:  # Pillow raises exceptions of many types for damaged data
        return False


def _is_lossless(file: WebPImagePlugin.WebPImageFile) -> bool:
    with Path(os.fsdecode(file.filename)).open("rb") as stream:
        stream.seek(12)
        while header := stream.read(8):
            name, length = header[:4], int.from_bytes(header[4:], "little")
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            stream.seek(length + length % 2, os.SEEK_CUR)
    return False
