"""The suffixes of image files. Imports no library, so that help texts appear at once."""

from importlib.util import find_spec

SUFFIXES = frozenset(
    (
        ".apng .avif .bmp .dib .gif .j2k .jfif .jpe .jpeg .jpg .jp2 .jpx .mpo .pbm .pcx .pgm .png .pnm .ppm .qoi .sgi "
        ".tga .tif .tiff .webp"
    ).split()
)
"""Suffixes, in lower case, that make a file in a folder an image. A file given by its path may have any name."""

HEIC_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
"""Suffixes of images that are read with the extra `heic`."""
UNREAD_SUFFIXES = frozenset(
    (
        ".3fr .ai .arw .cr2 .cr3 .crw .dcm .dcr .dds .dng .eps .erf .exr .fits .hdr .icns .ico .iiq .jxl .jxr .kdc "
        ".mef .mos .mrw .nef .nrw .orf .pef .pfm .psb .psd .raf .rw2 .rwl .sr2 .srf .srw .svg .svgz .wdp .x3f .xcf"
    ).split()
)
"""Suffixes of images of other formats. They are not read, and a folder's listing names them."""

FORMATS = dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG") | {
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffixes that outputs may have, and their formats."""


def readable_suffixes() -> frozenset[str]:
    """`SUFFIXES`, with those of HEIC if the extra `heic` is installed."""
    return SUFFIXES | HEIC_SUFFIXES if reads_heic() else SUFFIXES


def reads_heic() -> bool:
    """Whether the extra `heic` is installed."""
    return find_spec("pi_heif") is not None
