"""`aggan translate MODEL INPUT... --to DOMAIN --out DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from aggan.data.images import Unreadable, read
from aggan.errors import UserError
from aggan.inference.files import beside, plan
from aggan.systems.files import write_whole


@dataclass
class Translate:
    """Translate pictures. Names and sizes stay; results are PNG, so untouched pixels stay exact."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces128)."""
    inputs: Annotated[list[str], tyro.conf.Positional]
    """Files, folders or patterns."""
    to: str
    """The domain to translate to."""
    out: Path
    """Folder for the results."""
    masks: bool = False
    """Also write NAME.mask.png and NAME.content.png."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Translate, args=arguments, prog="aggan translate")
    from aggan.inference.translator import load  # torch only once the options are in order

    planned = plan(asked.inputs, asked.out, asked.masks)
    translator = load(asked.model)
    if asked.to not in translator.domains:
        raise UserError(f"no domain {asked.to!r} in this model; it translates to {' and '.join(translator.domains)}")
    console = Console(stderr=True)
    skipped = 0
    for source, target in track(planned, "translating", console=console):
        try:
            picture = read(source)
        except Unreadable as why:
            console.print(f"skipped {why}", markup=False, highlight=False, soft_wrap=True)
            skipped += 1
            continue
        made = translator(picture, asked.to)
        _save(made.image, target)
        if asked.masks:
            mask, content = beside(target)
            _save(Pillow.fromarray((made.mask * 255).round().astype("uint8")), mask)
            _save(made.content, content)
    print(f"{len(planned) - skipped} translated to {asked.out}" + (f", {skipped} skipped" if skipped else ""))
    return 2 if skipped == len(planned) else 0


def _save(image: Pillow.Image, path: Path) -> None:
    write_whole(path, lambda partial: image.save(partial, "PNG"))
