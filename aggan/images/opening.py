"""Opening image files with Pillow: HEIC with the extra `heic`, and one sentence about very large images."""

import logging
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Literal

from PIL import Image as Pillow
from PIL.ImageFile import ImageFile

from aggan.extras import require_module

_LOG = logging.getLogger(__name__)
_FILTERS = Lock()
"""Threads share the filters of warnings."""
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))


@dataclass(frozen=True)
class ReceivedFile:
    """An image file that is in memory and not on a disk. Messages call it "the image"."""

    content: bytes = field(repr=False)

    def open(self, mode: Literal["rb"]) -> BytesIO:
        """As `Path.open`."""
        return BytesIO(self.content)

    def __str__(self) -> str:
        return "the image"


Source = Path | ReceivedFile
"""Where an image file is read from."""


def open_file(source: Source) -> ImageFile:
    """Open an image file, whatever its suffix. Raises the errors of Pillow, and `UserError` if the extra is missing."""
    if _is_heic(source):
        _register_heic()
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        return Pillow.open(source if isinstance(source, Path) else source.open("rb"))


def report_large(source: Source, file: ImageFile) -> None:
    """Log one sentence about an image that Pillow would warn about."""
    if Pillow.MAX_IMAGE_PIXELS and file.width * file.height > Pillow.MAX_IMAGE_PIXELS:
        megapixels = file.width * file.height // 10**6
        _LOG.warning("%s: a very large image (%d megapixels), which takes much memory", source, megapixels)


def _is_heic(source: Source) -> bool:
    with source.open("rb") as stream:
        header = stream.read(12)
    return header[4:8] == b"ftyp" and header[8:12] in _HEIC_BRANDS


@lru_cache(maxsize=1)
def _register_heic() -> None:
    require_module("pi_heif", "heic", "reading HEIC images").register_heif_opener()
