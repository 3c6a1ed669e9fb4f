"""Sample sheets: how the training looks, on pictures that stay the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow

from aggan.batches import Image, Translation
from aggan.data.images import to_pixels
from aggan.systems.files import write_whole

COLUMNS = ("input", "mask", "content", "output", "back again")
Translate = Callable[[Image, str], Translation]


@torch.no_grad()
def sheet(translate: Translate, there: str, back: str, pictures: Image) -> Image:
    """Rows of input, mask, content, output and back again: (3, n * h, 5 * w)."""
    made = translate(pictures, there)
    again = translate(made.image, back).image
    mask = made.mask.expand_as(made.image) * 2 - 1
    columns = torch.cat((pictures, mask, made.content, made.image, again), dim=3)
    return columns.permute(1, 0, 2, 3).flatten(1, 2)


def save_sheet(path: Path, image: Image) -> None:
    """Write a sheet as PNG."""
    pixels = np.ascontiguousarray(to_pixels(image))
    write_whole(path, lambda partial: Pillow.fromarray(pixels).save(partial, "PNG"))
