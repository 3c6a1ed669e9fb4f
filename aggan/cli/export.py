"""`aggan export MODEL --to onnx|openvino --out DIR`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from aggan.errors import UserError

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
SHOWN, STRIDE, SMALLEST = 8, 4, 8


@dataclass
class Export:
    """Write a model as DOMAIN.onnx, or DOMAIN.xml and .bin, each with a report of its parity with torch."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    to: Literal["onnx", "openvino"]
    """The format."""
    out: Path
    """Folder for the files."""
    domain: list[str] = field(default_factory=list)
    """The domains to translate to, a file each; all unless given."""
    source: str | None = None
    """The domain that the pictures come from; few systems ask for it."""
    size: str = "any"
    """Side of the squares that the files take, or any: heights and widths are any multiples of 4 from 8 on."""
    pictures: Path | None = None
    """A folder of pictures to compare with torch on; rendered faces that ship unless given."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Export, args=arguments, prog="aggan export")
    size = _side(asked.size)
    from aggan.inference.export import export
    from aggan.inference.translator import load

    translator = load(asked.model)
    backends = [translator.backend(to, asked.source) for to in asked.domain or translator.domains]
    batches = _batches(asked.pictures, size or translator.card.size, any_size=not (size or translator.system.square))
    for backend in backends:
        file = asked.out / f"{backend.to}{SUFFIXES[asked.to]}"
        with Console(stderr=True).status(f"exporting {file.name}"):
            parity = export(backend, file, batches, size)
        image = parity.outputs["image"]
        print(f"{file}: at most {image.largest:.2g} of 255 from torch ({image.psnr} dB) on {parity.pictures} pictures")
    return 0


def _side(given: str) -> int:
    if given == "any":
        return 0
    if not given.isdecimal() or int(given) < SMALLEST or int(given) % STRIDE:
        raise UserError(f"--size is any, or a multiple of {STRIDE} from {SMALLEST} on, not {given}")
    return int(given)


def _batches(folder: Path | None, size: int, any_size: bool) -> list:
    """Pictures at the model's size, and some in another shape where any will do."""
    import numpy as np

    from aggan.data.folders import pictures
    from aggan.data.sample_faces import some
    from aggan.images.convert import Unreadable, read, square, to_tensor

    try:
        found = [read(file) for file in pictures(folder)[:SHOWN]] if folder else some(SHOWN)
    except Unreadable as why:
        raise UserError(f"{why}; take it out of --pictures") from why
    batches = [to_tensor(np.stack([square(image, size) for image in found]))]
    if any_size:
        wide = found[0].convert("RGB").resize((size + 8 * STRIDE, size + STRIDE))
        batches.append(to_tensor(np.array(wide))[None])
    return batches
