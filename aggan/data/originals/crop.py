"""Crops of source images.

The `.raw` files of AR Face have no header. Their description says 768 x 576 pixels of 24 bits. A published reader
(L. van der Maaten's readraw.m, 2009) takes them as three planes, red, green and blue, each stored by rows. No original
was available to check this, so look at the first output.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags
from PIL import Image as Pillow
from pydantic import Field

from aggan.data.originals.masks import Landmarks
from aggan.images.decode import Unreadable, open_image, read

Centre = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[float, Field(gt=0, le=1)]
Crop = tuple[Centre, Centre, Side]
"""A square: its centre as shares of width and height, its side as a share of the shorter side."""
CENTRED: Crop = (0.5, 0.5, 1.0)
"""The largest centred square."""

RAW_SHAPE = (3, 576, 768)
"""Planes, height and width of a `.raw` file."""


def read_crop(path: Path, crop: Crop, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Read a crop, moved inside the image, and resize it (bicubic, antialiased). Raises `Unreadable`."""
    image = _read_raw(path) if _is_raw(path) else read(path)
    left, top, side = _place(crop, *image.size)
    box = (left, top, left + side, top + side)
    return np.array(image.resize((size, size), Pillow.Resampling.BICUBIC, box))


def to_crop(landmarks: Landmarks, path: Path, crop: Crop, size: int) -> Landmarks:
    """Landmarks of an image in pixels of what `read_crop` returns. Raises `Unreadable`."""
    left, top, side = _place(crop, *_upright_size(path))
    return [[(x - left) * size / side, (y - top) * size / side] for x, y in landmarks]


def _place(crop: Crop, width: int, height: int) -> tuple[float, float, float]:
    """Left edge, top edge and side of a crop in pixels, moved inside an image."""
    x, y, share = crop
    side = share * min(width, height)
    left = min(max(0.0, x * width - side / 2), width - side)
    top = min(max(0.0, y * height - side / 2), height - side)
    return left, top, side


def _upright_size(path: Path) -> tuple[int, int]:
    """Width and height, without decoding the image."""
    if _is_raw(path):
        _, height, width = RAW_SHAPE
        return width, height
    with open_image(path) as file:
        is_turned = file.getexif().get(ExifTags.Base.Orientation, 1) > 4
        return (file.height, file.width) if is_turned else file.size


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() == ".raw"


def _read_raw(path: Path) -> Pillow.Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror})") from None
    planes, height, width = RAW_SHAPE
    if len(content) != planes * height * width:
        expected = f"{width} x {height} x {planes} = {planes * height * width}"
        raise Unreadable(f"{path}: broken image ({len(content)} bytes, not {expected})")
    return Pillow.fromarray(np.moveaxis(np.frombuffer(content, np.uint8).reshape(RAW_SHAPE), 0, 2).copy())
