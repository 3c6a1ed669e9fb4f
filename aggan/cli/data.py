"""`aggan data faces --out DIR`, `aggan data render PROTOCOL --out DIR`, `aggan data prepare NAME SRC DST`."""

import importlib
import shlex
from pathlib import Path
from typing import Literal

import tyro

from aggan.data.sample_faces import unpack
from aggan.errors import UserError

USAGE = """usage: aggan data faces --out DIR [--size {64,128}] [--pairs]      unpack the rendered faces that ship
       aggan data render {rafd,arface,bu3dfe,celeba,faces,judges} --out DIR      render a data set (extra `render`)
       aggan data prepare {celeba,rafd,arface,bu3dfe} SRC DST      lay out an original data set for training"""
MODULES = ("render", "prepare")
"""Actions with a module of their own."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    action, rest = arguments[0], arguments[1:]
    if action in MODULES:
        return importlib.import_module(f"aggan.cli.{action}").main(rest)
    if action != "faces":
        raise UserError(f"no action {action!r}; there is faces, {', '.join(MODULES)}")
    return tyro.cli(faces, args=rest, prog="aggan data faces")


def faces(out: Path, size: Literal[64, 128] = 128, pairs: bool = False) -> int:
    """Unpack the rendered faces that ship: OUT/{train,test}/EXPRESSION/PERSON.png.

    Args:
        out: Folder to write to; the same command goes on where a first one stopped.
        size: Side in pixels.
        pairs: Show everybody neutral and happy, for systems that learn from pairs.
    """
    count = unpack(out, size, pairs)
    root = shlex.quote(str(out))
    print(f"{count} pictures in {out}. Train with: aggan train --recipe faces{size} --data.root {root} --out RUN")
    return 0
