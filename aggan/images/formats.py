"""The suffixes of image files. Imports nothing, so that help texts appear at once."""

SUFFIXES = frozenset(
    (
        ".apng .avif .bmp .dib .gif .j2k .jfif .jpe .jpeg .jpg .jp2 .jpx .mpo .pbm .pcx .pgm .png .pnm .ppm .qoi .sgi "
        ".tga .tif .tiff .webp"
    ).split()
)
"""Suffixes, in lower case, that make a file in a folder an image. A file given by its path may have any name."""

FORMATS = dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG") | {
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffixes that outputs may have, and their formats."""
