"""`aggan translate MODEL INPUT... --to DOMAIN --out DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from aggan.data.images import Unreadable, read
from aggan.errors import UserError
from aggan.inference.files import beside, plan
from aggan.writing import write_whole


@dataclass
class Translate:
    """Translate pictures. Names and sizes stay; results are PNG, so untouched pixels stay exact."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces64)."""
    inputs: Annotated[list[str], tyro.conf.Positional]
    """Files, folders or patterns."""
    to: str
    """The domain to translate to."""
    out: Path
    """Folder for the results."""
    masks: bool = False
    """Also write NAME.mask.png and NAME.content.png."""
    source: str | None = None
    """The domain that the pictures come from; few systems ask for it."""
    samples: int = 1
    """So many answers to each picture, NAME.1.png, NAME.2.png, ..., from a system that has many."""
    path: int = 0
    """So many steps from --source to --to, NAME.1.png, ..., from a system with codes (ganimation)."""


class Version(NamedTuple):
    """One of the results that are asked of each picture."""

    kind: str
    to: str
    sample: int = 0


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Translate, args=arguments, prog="aggan translate")
    versions = _versions(asked)
    parts = ("", ".mask", ".content") if asked.masks else ("",)
    from aggan.inference.translator import load  # torch only once the options are in order

    planned = plan(asked.inputs, asked.out, [version.kind + part for version in versions for part in parts])
    translator = load(asked.model)
    for version in versions:
        translator.system.require_target(version.to)
    console = Console(stderr=True)
    skipped = 0
    for source, target in track(planned, "translating", console=console):
        try:
            picture = read(source)
        except Unreadable as why:
            console.print(f"skipped {why}", markup=False, highlight=False, soft_wrap=True)
            skipped += 1
            continue
        for version in versions:
            made = translator(picture, version.to, asked.source, version.sample)
            mask = Pillow.fromarray((made.mask * 255).round().astype("uint8"))
            for part, image in zip(parts, (made.image, mask, made.content), strict=False):
                _save(image, beside(target, version.kind + part))
    print(f"{len(planned) - skipped} translated to {asked.out}" + (f", {skipped} skipped" if skipped else ""))
    return 2 if skipped == len(planned) else 0


def _versions(asked: Translate) -> list[Version]:
    if asked.samples < 1 or asked.path < 0 or asked.path == 1:
        raise UserError("--samples needs 1 or more answers, --path 2 or more steps")
    if asked.path and not asked.source:
        raise UserError("--path leads from --source to --to: name both")
    if asked.path:
        shares = (step / (asked.path - 1) for step in range(asked.path))
        return [Version(f".{k}", f"{asked.source}>{asked.to}@{share}") for k, share in enumerate(shares, start=1)]
    if asked.samples == 1:
        return [Version("", asked.to)]
    return [Version(f".{k + 1}", asked.to, k) for k in range(asked.samples)]


def _save(image: Pillow.Image, path: Path) -> None:
    write_whole(path, lambda partial: image.save(partial, "PNG"))
