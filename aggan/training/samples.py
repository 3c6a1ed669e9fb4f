"""Sample sheets: how the training looks, on pictures that stay the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Pillow
from torch import Tensor

from aggan.images.convert import to_pixels
from aggan.io import write_whole
from aggan.methods.base import System
from aggan.types import Image

VISIBLE = 128
"""Pixels that a picture on a sheet should have at least."""


@torch.no_grad()
def sheet(system: System, samples: Sequence[Image]) -> Float[Tensor, "3 rows columns"]:
    """Each domain's pictures on their way to the next domain that the system knows, side by side."""
    domains = system.task.domains
    ways = [(pictures, there, back) for pictures, there, back in zip(samples, rolled(domains), domains, strict=True)]
    return torch.cat([_way(system, *way).cpu() for way in ways if way[1] in system.targets], dim=2)


def rolled(domains: tuple[str, ...]) -> tuple[str, ...]:
    """To each domain the next one, to the last the first."""
    return domains[1:] + domains[:1]


def _way(system: System, pictures: Image, there: str, back: str) -> Float[Tensor, "3 rows columns"]:
    """Input; mask and content where there is attention; output; and back again where there is a way."""
    made = system.translate(pictures, there, back)
    columns = [pictures]
    if made.content is not made.image:
        columns += [made.mask.expand_as(made.image) * 2 - 1, made.content]
    columns.append(made.image)
    if back in system.targets:
        columns.append(system.translate(made.image, back, there).image)
    return torch.cat(columns, dim=3).permute(1, 0, 2, 3).flatten(1, 2)


def save_sheet(path: Path, image: Float[Tensor, "3 rows columns"], side: int) -> None:
    """Write a sheet as PNG; small pictures (of `side` pixels) are enlarged, to be seen."""
    picture = Pillow.fromarray(np.ascontiguousarray(to_pixels(image)))
    scale = max(1, VISIBLE // side)
    picture = picture.resize((picture.width * scale, picture.height * scale), Pillow.Resampling.NEAREST)
    write_whole(path, lambda partial: picture.save(partial, "PNG"))
