"""Opening image files with Pillow: HEIC with the extra `heic`, and one sentence about very large images."""

import logging
import warnings
from functools import lru_cache
from pathlib import Path
from threading import Lock

from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from aggan.extras import require_module

_LOG = logging.getLogger(__name__)
_FILTERS = Lock()
"""Threads share the filters of warnings."""
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))


def open_file(path: Path) -> ImageFile:
    """Open an image file, whatever its suffix. Raises the errors of Pillow, and `UserError` if the extra is missing."""
    if _is_heic(path):
        _register_heic()
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        return Pillow.open(path)


def report_large(path: Path, file: ImageFile) -> None:
    """Log one sentence about an image that Pillow would warn about."""
    if Pillow.MAX_IMAGE_PIXELS and file.width * file.height > Pillow.MAX_IMAGE_PIXELS:
        megapixels = file.width * file.height // 10**6
        _LOG.warning("%s: a very large image (%d megapixels), which takes much memory", path, megapixels)


def _is_heic(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(12)
    return header[4:8] == b"ftyp" and header[8:12] in _HEIC_BRANDS


@lru_cache(maxsize=1)
def _register_heic() -> None:
    require_module("pi_heif", "heic", "reading HEIC images").register_heif_opener()
