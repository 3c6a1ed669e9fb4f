"""Source pictures cut to the square that is kept.

AR's `.raw` files have no header: 768 x 576 pixels of 24 bits, says their description. That the three colour
planes lie one after the other, red, green, blue, each by rows, is how a published reader takes them
(L. van der Maaten's readraw.m of 2009); no original was at hand to see it, so look at the first result.
"""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.data.originals.settings import Crop
from aggan.images.convert import Pixels, Unreadable, read

RAW = (3, 576, 768)


def cut(path: Path, crop: Crop, size: int) -> Pixels:
    """The square `crop` of a picture, resized (bicubic, antialiased); raises `Unreadable`."""
    image = _raw(path) if path.suffix.lower() == ".raw" else read(path)
    x, y, share = crop
    side = share * min(image.size)
    left = min(max(0.0, x * image.width - side / 2), image.width - side)
    top = min(max(0.0, y * image.height - side / 2), image.height - side)
    box = (left, top, left + side, top + side)
    return np.array(image.resize((size, size), Pillow.Resampling.BICUBIC, box))


def _raw(path: Path) -> Pillow.Image:
    try:
        content = path.read_bytes()
    except OSError as why:
        raise Unreadable(f"{path}: cannot be read ({why.strerror})") from None
    planes, height, width = RAW
    if len(content) != planes * height * width:
        wanted = f"{width} x {height} x {planes} = {planes * height * width}"
        raise Unreadable(f"{path}: broken picture ({len(content)} bytes, not {wanted})")
    return Pillow.fromarray(np.moveaxis(np.frombuffer(content, np.uint8).reshape(RAW), 0, 2).copy())
