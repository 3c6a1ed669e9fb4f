"""`aggan data faces --out DIR`, `aggan data render PROTOCOL --out DIR`."""

from pathlib import Path
from typing import Literal

import tyro

from aggan.data.faces.pack import unpack
from aggan.errors import UserError

USAGE = """usage: aggan data faces --out DIR [--size {64,128}]      unpack the rendered faces that ship
       aggan data render {rafd,arface,bu3dfe,celeba,faces} --out DIR      render a data set (extra `render`)"""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    actions = {"faces": faces}
    if arguments[:1] == ["render"]:
        from aggan.commands import render

        return render.main(arguments[1:])
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    if arguments[0] not in actions:
        raise UserError(f"no action {arguments[0]!r}; there is {', '.join((*actions, 'render'))}")
    return tyro.cli(actions[arguments[0]], args=arguments[1:], prog=f"aggan data {arguments[0]}")


def faces(out: Path, size: Literal[64, 128] = 128) -> int:
    """Unpack the rendered faces that ship: OUT/{train,test}/{neutral,happy}/PERSON.png.

    Args:
        out: Folder to write to.
        size: Side in pixels.
    """
    count = unpack(out, size)
    print(f"{count} pictures in {out}. Train with: aggan train --recipe faces{size} --data.root {out} --out RUN")
    return 0
