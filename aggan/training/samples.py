"""Sample sheets: the same images, translated again and again as the training proceeds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Pillow
from torch import Tensor

from aggan.images.convert import to_pixels
from aggan.io import write_atomic
from aggan.methods.base import Method, Task
from aggan.types import Image

SMALLEST_SHOWN = 128
"""Smaller images are enlarged to about this side, in pixels."""
ROWS, COLUMNS = 4, 5
"""Images of a domain on a sheet: at most so many inputs, with so many images each."""
PNG_RATIO = 0.2
"""Size of a sheet's file as a fraction of its pixels' size: measured with faces."""


@torch.no_grad()
def sample_sheet(method: Method, samples: Sequence[Image]) -> Float[Tensor, "3 rows columns"]:
    """Each domain's images translated to the next domain that the method knows, side by side."""
    sources = method.task.domains
    blocks = [
        _block(method, images, source, target).cpu()
        for images, source, target in zip(samples, sources, rolled(sources), strict=True)
        if target in method.targets
    ]
    return torch.cat(blocks, dim=2)


def rolled(domains: tuple[str, ...]) -> tuple[str, ...]:
    """The next domain of each; the first for the last."""
    return domains[1:] + domains[:1]


def sheet_bytes(task: Task) -> int:
    """About the size of a sheet's file."""
    side = task.size * max(1, SMALLEST_SHOWN // task.size)
    return int(len(task.domains) * ROWS * COLUMNS * 3 * side**2 * PNG_RATIO)


def _block(method: Method, images: Image, source: str, target: str) -> Float[Tensor, "3 rows columns"]:
    """Columns: input; mask and content if there is attention; translation; reconstruction if there is a way back."""
    translation = method.translate(images, target, source)
    columns = [images]
    if translation.mask is not None:
        image, mask, content = translation.attended()
        columns += [mask.expand_as(image) * 2 - 1, content]
    columns.append(translation.image)
    if source in method.targets:
        columns.append(method.translate(translation.image, source, target).image)
    return torch.cat(columns, dim=3).permute(1, 0, 2, 3).flatten(1, 2)


def save_sheet(path: Path, sheet: Float[Tensor, "3 rows columns"], side: int) -> None:
    """Write a sheet of images of `side` pixels as PNG."""
    image = Pillow.fromarray(np.ascontiguousarray(to_pixels(sheet)))
    scale = max(1, SMALLEST_SHOWN // side)
    image = image.resize((image.width * scale, image.height * scale), Pillow.Resampling.NEAREST)
    write_atomic(path, lambda partial: image.save(partial, "PNG"))
