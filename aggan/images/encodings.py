"""How a picture file was encoded, and what it holds beside its pixels, as options of Pillow's `save`."""

from typing import Any

from PIL import Image as Pillow
from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from aggan.images.sixteen_bit import XMP_IN_PNG

FORMATS = dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG") | {
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The suffixes that results may have, and the formats that they stand for."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
"""For a file that was in another format."""

ORIENTATION = 0x0112
_WEBP_QUALITY = 90
_ICC = 34675
_STORAGE = frozenset((*range(254, 260), 262, 266, ORIENTATION, 273, *range(277, 282), 284, *range(317, 326), 338, 339))
"""What a TIFF's tags say of how its pixels lie."""
_OTHER_PICTURES = frozenset((330, 34377, 37724))
"""Smaller copies, Photoshop's thumbnail and its layers: they would show the old face."""
_LONGEST_EXIF = 65_521
"""Bytes that a JPEG can hold of it, less an entry for the orientation."""
_LOSSLESS_TIFF = frozenset(("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "lzma", "zstd"))
_OTHER_COLOURS = frozenset(("CMYK", "LAB", "YCbCr", "HSV"))


def format_of(file: Pillow.Image) -> str:
    """Pillow's name of the format; a camera's MPO is a JPEG."""
    return "JPEG" if isinstance(file, JpegImagePlugin.JpegImageFile) else str(file.format)


def encoding(file: Pillow.Image) -> dict[str, Any]:
    """What it takes to encode pixels as an opened file did.

    JPEG: tables, subsampling, progression. WebP: lossless or not; it does not tell its quality, so a lossy one is
    written at 90. TIFF: the compression, unless it loses something.
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


def metadata(file: Pillow.Image) -> dict[str, Any]:
    """Resolution, XMP, ICC profile and EXIF data, the latter without orientation and thumbnail.

    EXIF data that cannot be written again, damaged ones or more than a JPEG can hold, are left out.
    """
    exif = file.getexif()
    for tag in (_STORAGE | _OTHER_PICTURES | {_ICC}) & set(exif):
        del exif[tag]
    found = {key: file.info.get(key) for key in ("dpi", "xmp", "icc_profile")}
    if file.mode in _OTHER_COLOURS:  # such a profile does not describe RGB
        del found["icc_profile"]
    if isinstance(xmp := found["xmp"], bytes):
        found["pnginfo"] = PngImagePlugin.PngInfo()
        found["pnginfo"].add(b"iTXt", XMP_IN_PNG + xmp)
    kept = {key: value for key, value in found.items() if value}
    return kept | {"exif": exif if _can_be_written(exif, format_of(file)) else Pillow.Exif()}


def _can_be_written(exif: Pillow.Exif, format: str) -> bool:
    try:
        return len(exif.tobytes()) <= _LONGEST_EXIF or format != "JPEG"
    except Exception:  # what Pillow raises at damaged data is of many kinds
        return False


def _is_lossless(file: WebPImagePlugin.WebPImageFile) -> bool:
    with open(file.filename, "rb") as stream:  # noqa: PTH123 - Pillow's name may be bytes
        stream.seek(12)
        while header := stream.read(8):
            name, length = header[:4], int.from_bytes(header[4:], "little")
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            stream.seek(length + length % 2, 1)
    return False
