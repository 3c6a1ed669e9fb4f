"""`aggan export MODEL --to onnx|openvino --out DIR`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from PIL import Image as Pillow

from aggan.data.sample_faces import sample_images
from aggan.errors import UserError

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
MAX_IMAGES = 8
"""Images that a file is compared with PyTorch on."""


@dataclass
class Export:
    """Export a model as DOMAIN.onnx, or DOMAIN.xml and DOMAIN.bin, after a parity check against PyTorch."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    to: Literal["onnx", "openvino"]
    """The format."""
    out: Path
    """The output folder."""
    domain: list[str] = field(default_factory=list)
    """The domains to translate to, one file each. Default: all."""
    source: str | None = None
    """The domain of the input images. Few methods need it."""
    size: str = "any"
    """Side in pixels of the squares that the files take. With any, sides may be any multiples of 4 from 8 on."""
    images: Path | None = None
    """A folder of images for the parity check. Default: rendered faces that ship."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Export, args=argv, prog="aggan export")
    size = _parse_size(args.size)
    from rich.console import Console

    from aggan.inference.export import export, parity_batches, require_destination
    from aggan.inference.translator import load

    translator = load(args.model)
    backends = [translator.backend(to, args.source) for to in args.domain or translator.domains]
    any_size = size is None and not translator.method.fixed_size
    images = _read_images(args.images, translator.card.bits) if args.images else sample_images(MAX_IMAGES)
    batches = parity_batches(images, size or translator.card.size, any_size)
    files = [args.out / f"{backend.to}{SUFFIXES[args.to]}" for backend in backends]
    for file in files:
        require_destination(file, "--out")
    for backend, file in zip(backends, files, strict=True):
        with Console(stderr=True).status(f"exporting {file.name}"):
            parity = export(backend, file, batches, size)
        difference = parity.outputs["translation"]
        print(
            f"{file}: differs from PyTorch by at most {difference.largest:.2g} of 255 ({difference.psnr} dB) "
            f"on {parity.images} images"
        )
    return 0


def _parse_size(text: str) -> int | None:
    if text == "any":
        return None
    from aggan.inference.compositing import MIN_SIDE, STRIDE

    if not text.isdecimal() or int(text) < MIN_SIDE or int(text) % STRIDE:
        raise UserError(f"--size must be any, or a multiple of {STRIDE} from {MIN_SIDE} on, not {text}")
    return int(text)


def _read_images(folder: Path, bits: int | None) -> list[Pillow.Image]:
    from aggan.data.folders import list_named
    from aggan.images.decode import Unreadable, read

    listing = list_named(folder)
    for sentence in listing.sentences():
        print(sentence, file=sys.stderr)
    try:
        return [read(file, bits) for file in listing.files[:MAX_IMAGES]]
    except Unreadable as error:
        raise UserError(f"{error}; remove it from --images") from error
