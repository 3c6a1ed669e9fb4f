"""Sample sheets: how the training looks, on pictures that stay the same."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Pillow
from torch import Tensor

from aggan.batches import Image
from aggan.data.images import to_pixels
from aggan.system import System
from aggan.systems.files import write_whole

COLUMNS = ("input", "mask", "content", "output", "back again")
VISIBLE = 128
"""Pixels that a picture on a sheet should have at least."""


@torch.no_grad()
def sheet(system: System, there: str, back: str, pictures: Image) -> Float[Tensor, "3 rows columns"]:
    """Rows of input, mask, content, output and back again: (3, n * side, 5 * side)."""
    made = system.translate(pictures, there)
    again = system.translate(made.image, back).image
    mask = made.mask.expand_as(made.image) * 2 - 1
    columns = torch.cat((pictures, mask, made.content, made.image, again), dim=3)
    return columns.permute(1, 0, 2, 3).flatten(1, 2)


def save_sheet(path: Path, image: Float[Tensor, "3 rows columns"], side: int) -> None:
    """Write a sheet as PNG; small pictures (of `side` pixels) are enlarged, to be seen."""
    picture = Pillow.fromarray(np.ascontiguousarray(to_pixels(image)))
    scale = max(1, VISIBLE // side)
    picture = picture.resize((picture.width * scale, picture.height * scale), Pillow.Resampling.NEAREST)
    write_whole(path, lambda partial: picture.save(partial, "PNG"))
