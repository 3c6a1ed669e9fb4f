"""Parity: how far an exported model's outputs are from those of the model in torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from aggan.errors import UserError
from aggan.inference.compositing import Backend
from aggan.inference.exported import OUTPUTS

AnyBatch = Float[Tensor, "_ 3 _ _"]
"""Images; another batch may have another size."""
MAX_DIFFERENCE = 0.5
"""Of 255: half a grey level is invisible."""
_SCALES = dict(zip(OUTPUTS, (127.5, 255.0, 127.5), strict=True))
"""Factors that scale the range of each output to 255."""


class Difference(BaseModel):
    """The difference of one output, on a scale of 255."""

    model_config = ConfigDict(frozen=True)

    largest: float
    mean: float
    psnr: float | None
    """In dB; None if the outputs are equal."""


class Parity(BaseModel):
    """The content of `NAME.json` beside an exported file."""

    model_config = ConfigDict(frozen=True)

    version: Literal[2] = 2
    images: int
    sizes: tuple[tuple[int, int], ...]
    """Height and width of each batch."""
    allowed: float = MAX_DIFFERENCE
    outputs: dict[str, Difference]

    def require(self, file: Path) -> None:
        """Raise `UserError` if a difference is too large."""
        for name, difference in self.outputs.items():
            if not difference.largest < self.allowed:
                raise UserError(
                    f"{file} is not written: its {name} differs from torch by {difference.largest:.3g} of 255 "
                    f"({self.allowed} is allowed); stochastic methods cannot be exported"
                )


def compare(reference: Backend, candidate: Backend, batches: Sequence[AnyBatch]) -> Parity:
    """The differences between two backends on batches of images, each of any size."""
    differences: dict[str, list[Float[Tensor, " values"]]] = {}
    for images in batches:
        outputs = zip(_SCALES.items(), reference(images), candidate(images), strict=True)
        for (name, scale), expected, actual in outputs:
            if expected is not None and actual is not None:
                difference = ((expected - actual).abs() * scale).flatten().double()
                differences.setdefault(name, []).append(difference)
    return Parity(
        images=sum(map(len, batches)),
        sizes=tuple((images.shape[2], images.shape[3]) for images in batches),
        outputs={name: _summarize(torch.cat(values)) for name, values in differences.items()},
    )


def _summarize(difference: Float[Tensor, " values"]) -> Difference:
    mse = float(difference.square().mean())
    psnr = round(10 * float(torch.log10(torch.tensor(255**2 / mse))), 2) if mse > 0 else None
    return Difference(largest=float(difference.max()), mean=float(difference.mean()), psnr=psnr)
