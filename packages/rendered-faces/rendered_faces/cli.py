"""`aggan data render PROTOCOL --out DIR`: people who do not exist, as in the paper's four data sets."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aggan.errors import UserError
from rendered_faces.protocols import PROTOCOLS, Sitting, plan

USAGE = f"usage: aggan data render {{{','.join(PROTOCOLS)}}} --out DIR [options]      (--help after a name says more)"
INTERRUPTED = 130


@dataclass
class Render:
    """Render a data set: OUT/{train,test}/EXPRESSION/NAME.png with masks and pictures.jsonl."""

    out: Path
    """Folder to write to; the same command goes on where a first one stopped."""
    people: int | None = None
    """How many people; the paper's number unless given."""
    size: int = 128
    """Side of the pictures in pixels (the paper: 256)."""
    seed: int = 0
    """Other seeds give other people."""
    workers: int = 2
    """How many processes render."""
    masks: bool = True
    """Write masks of face, mouth, eyes, brows and hair too."""


def main(arguments: list[str]) -> int:
    """Render a set; 130 when it was interrupted."""
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    protocol, *rest = arguments
    if protocol not in PROTOCOLS:
        raise UserError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    asked = tyro.cli(Render, args=rest, prog=f"aggan data render {protocol}")
    for name, value, least in (("size", asked.size, 16), ("seed", asked.seed, 0), ("workers", asked.workers, 1)):
        if value < least:
            raise UserError(f"--{name} {value} is too small: it should be at least {least}")
    console = Console(stderr=True)
    try:
        return _render(protocol, asked, console)
    except KeyboardInterrupt:
        console.print(
            f"interrupted; the same command goes on where it stopped (in {asked.out})", markup=False, soft_wrap=True
        )
        return INTERRUPTED


def _render(protocol: str, asked: Render, console: Console) -> int:
    sittings = plan(protocol, asked.seed, asked.people)
    from rendered_faces import render, store

    people = len({sitting.person for sitting in sittings})
    settings = store.Settings(protocol, people, asked.size, asked.seed, asked.masks)
    if store.is_whole(asked.out, settings):
        print(f"{asked.out} is rendered already")
        return 0
    render.require_renderer()
    store.begin(asked.out, settings)
    missing, total = store.missing(asked.out, sittings), sum(map(_pictures, sittings))
    with Progress(
        TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as progress:
        task = progress.add_task("", total=total, completed=total - sum(map(_pictures, missing)))
        for sitting in render.render(asked.out, settings, missing, asked.workers):
            progress.advance(task, _pictures(sitting))
    for split, counted in store.finish(asked.out, settings, sittings).items():
        print(f"{split}: {', '.join(f'{count} {expression}' for expression, count in counted.items())}")
    root = shlex.quote(str(asked.out))
    print(f"Train with: aggan train --data.root {root} --data.names neutral happy --data.size {asked.size} --out RUN")
    return 0


def _pictures(sitting: Sitting) -> int:
    return len(sitting.expressions) + len(sitting.answers)
