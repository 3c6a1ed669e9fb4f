"""How far an exported model is from the one in torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from aggan.errors import UserError
from aggan.inference.compositing import Backend

LARGEST = 0.5
"""Of 255: a difference below half a level of grey cannot be seen."""
_LEVELS = {"image": 127.5, "attention": 255.0, "content": 127.5}
"""What makes 255 of the range of each output."""


class Difference(BaseModel):
    """Of one output, in levels of 255."""

    model_config = ConfigDict(frozen=True)

    largest: float
    mean: float
    psnr: float | None
    """dB; None where the two are equal."""


class Parity(BaseModel):
    """What `NAME.json` beside an exported file holds."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    pictures: int
    sizes: tuple[tuple[int, int], ...]
    """Heights and widths that were tried."""
    allowed: float = LARGEST
    outputs: dict[str, Difference]

    def require(self, file: Path) -> None:
        """Raise `UserError` where a difference is larger than allowed."""
        for name, found in self.outputs.items():
            if not found.largest < self.allowed:
                raise UserError(
                    f"{file} is not written: its {name} differs from torch's by {found.largest:.3g} of 255 "
                    f"({self.allowed} is allowed); a system that draws noise at each call cannot be exported"
                )


def compare(ours: Backend, theirs: Backend, batches: Sequence[Tensor]) -> Parity:
    """The differences on batches of pictures, each of any size."""
    gaps: dict[str, list[Tensor]] = {name: [] for name in _LEVELS}
    for images in batches:
        for (name, level), mine, other in zip(_LEVELS.items(), ours(images), theirs(images), strict=True):
            gaps[name].append(((mine - other).abs() * level).flatten().double())
    return Parity(
        pictures=sum(map(len, batches)),
        sizes=tuple((images.shape[2], images.shape[3]) for images in batches),
        outputs={name: _difference(torch.cat(values)) for name, values in gaps.items()},
    )


def _difference(gap: Tensor) -> Difference:
    square = float(gap.square().mean())
    psnr = round(10 * float(torch.log10(torch.tensor(255**2 / square))), 2) if square > 0 else None
    return Difference(largest=float(gap.max()), mean=float(gap.mean()), psnr=psnr)
