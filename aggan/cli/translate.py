"""`aggan translate MODEL INPUT... --to DOMAIN --out DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aggan.inference.options import DEFAULTS, TranslateOptions
from aggan.training.launch import detect_launcher


@dataclass
class Translate:
    """Translate images or videos. Names, sizes and formats stay, and so does every pixel outside the mask."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    inputs: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT [INPUT ...]")]
    """Files, folders or patterns."""
    to: str
    """The domain to translate to."""
    out: Path
    """The output folder."""
    translation: tyro.conf.OmitArgPrefixes[TranslateOptions] = DEFAULTS


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Translate, args=argv, prog="aggan translate")
    launch = detect_launcher()  # torchrun and srun start several processes, which share the inputs
    rank, world_size = (launch.rank, launch.world_size) if launch else (0, 1)
    from rich.console import Console

    from aggan.inference.pipeline import translate_files

    summary = translate_files(
        args.model,
        args.inputs,
        args.to,
        args.out,
        args.translation,
        rank=rank,
        world_size=world_size,
        console=Console(stderr=True),
    )
    counts = [f"{summary.translated} translated to {args.out}"]
    counts += [f"{len(summary.copied)} copied unchanged"] if summary.copied else []
    counts += [f"{len(summary.skipped)} skipped"] if summary.skipped else []
    counts += [f"{summary.existing} already there"] if args.translation.skip_existing else []
    print(", ".join(counts))
    # It is a failure only if all inputs are unreadable, not just those of this process or those left to do.
    return 2 if len(summary.skipped) == summary.planned else 0
