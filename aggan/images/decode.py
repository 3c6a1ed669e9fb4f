"""Decoding image files to upright RGB pixels. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

Pixels = UInt8[np.ndarray, "h w 3"]


class Unreadable(Exception):
    """A file that is not an image, or a broken one. The message names the file and the reason."""


def read(path: Path) -> Pillow.Image:
    """Read any image file as RGB: upright, with transparent parts on white. Raises `Unreadable`."""
    with open_image(path) as file:
        return to_rgb(ImageOps.exif_transpose(file))


@contextmanager
def open_image(path: Path) -> Iterator[ImageFile]:
    """Open an image file. Errors of opening it, and of decoding it inside the block, become `Unreadable`."""
    try:
        with Pillow.open(path) as file:
            yield file
    except FileNotFoundError:
        raise Unreadable(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise Unreadable(f"{path}: not an image") from None
    except Pillow.DecompressionBombError as error:
        raise Unreadable(f"{path}: too large an image ({error})") from None
    except Exception as error:  # decoders raise exceptions of many types
        reason = isinstance(error, OSError) and error.strerror
        message = f"cannot be read ({reason})" if reason else f"broken image ({error})"
        raise Unreadable(f"{path}: {message}") from None


def to_rgb(image: Pillow.Image) -> Pillow.Image:
    """Convert any mode to RGB: 16-bit and floating-point greys are scaled, transparent parts become white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Pillow.fromarray(_to_uint8(np.asarray(image)))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_uint8(grey: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(grey.astype(np.float64))
    if np.issubdtype(grey.dtype, np.floating):
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    else:
        scale = 255 / 65535 if values.max(initial=0) > 255 else 1.0
    return (values * scale).round().clip(0, 255).astype(np.uint8)


def square(image: Pillow.Image, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Crop the largest centred square and resize it (bicubic, antialiased), as for training."""
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Pillow.Resampling.BICUBIC)
    return np.array(image)
