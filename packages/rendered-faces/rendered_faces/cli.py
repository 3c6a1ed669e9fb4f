"""`aggan data render PROTOCOL --out DIR`: data sets of people who do not exist, like the AGGAN paper's four."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro
from aggan.errors import UserError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rendered_faces import render, store
from rendered_faces.protocols import FORMER_NAMES, PROTOCOLS, Sitting, plan

USAGE = (
    f"usage: aggan data render {{{','.join(PROTOCOLS)}}} --out DIR [options]\n"
    "       aggan data render PROTOCOL --help lists the options"
)
INTERRUPTED = 130


@dataclass
class Render:
    """Render a data set: OUT/{train,test}/EXPRESSION/NAME.png with masks and images.jsonl."""

    out: Path
    """Folder to write to. The same command continues an interrupted one."""
    people: int | None = None
    """Number of people. The default is the original data set's."""
    size: int = 128
    """Side of the images in pixels. The paper trains at 256."""
    seed: int = 0
    """Random seed. Other seeds give other people."""
    workers: int = 2
    """Number of rendering processes."""
    masks: bool = True
    """Also write masks of face, mouth, eyes, brows and hair."""


def main(argv: list[str]) -> int:
    """Render a data set and return the exit code, 130 if interrupted; raises `UserError`."""
    if argv[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    protocol, *rest = argv
    for name, former in FORMER_NAMES.items():
        if protocol == former:
            raise UserError(f"the protocol {former!r} is now called {name!r}: aggan data render {name} --out DIR")
    if protocol not in PROTOCOLS:
        raise UserError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    args = tyro.cli(Render, args=rest, prog=f"aggan data render {protocol}")
    for name, value, least in (("size", args.size, 16), ("seed", args.seed, 0), ("workers", args.workers, 1)):
        if value < least:
            raise UserError(f"--{name} {value} is too small: give at least {least}")
    console = Console(stderr=True)
    try:
        return _render(protocol, args, console)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command continues in {args.out}", markup=False, soft_wrap=True)
        return INTERRUPTED


def _render(protocol: str, args: Render, console: Console) -> int:
    sittings = plan(protocol, args.seed, args.people)
    people = len({sitting.person for sitting in sittings})
    settings = store.Settings(protocol, people, args.size, args.seed, args.masks)
    if store.is_complete(args.out, settings):
        print(f"{args.out} is rendered already")
        return 0
    render.require_renderer()
    store.begin(args.out, settings)
    unfinished, total = store.unfinished(args.out, sittings), sum(map(_image_count, sittings))
    with Progress(
        TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as progress:
        task = progress.add_task("", total=total, completed=total - sum(map(_image_count, unfinished)))
        for sitting in render.render(args.out, settings, unfinished, args.workers):
            progress.advance(task, _image_count(sitting))
    for split, counts in store.finish(args.out, settings, sittings).items():
        print(f"{split}: {', '.join(f'{count} {expression}' for expression, count in counts.items())}")
    root = shlex.quote(str(args.out))
    print(f"Train with: aggan train --data.root {root} --data.names neutral happy --data.size {args.size} --out RUN")
    return 0


def _image_count(sitting: Sitting) -> int:
    return len(sitting.expressions) + len(sitting.ground_truth)
