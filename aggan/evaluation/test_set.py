"""Pictures that were kept out of training, from their folders to aligned arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aggan.data.folders import pictures
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square

Says = Callable[[str], None]


@dataclass(frozen=True)
class HeldOut:
    """Pictures that were kept out of training, and where they are to be translated to."""

    to: str
    inputs: Path
    answers: Path | None = None
    """True answers of the same names."""
    real: Path | None = None
    """Real pictures of the domain `to`, which translations as a whole are compared with; else the answers."""
    source: str | None = None
    """The domain of the inputs, for systems that ask."""
    expression: str = ""
    """What the judge should see; nothing is judged where it is no expression."""


class Pictures(NamedTuple):
    """What was read: uint8 arrays (n, size, size, 3)."""

    names: list[str]
    """Of the inputs: path below their folder, without suffix."""
    inputs: np.ndarray
    answers: np.ndarray | None
    real: np.ndarray | None


def read_held_out(asked: HeldOut, size: int, say: Says) -> Pictures:
    """Read the pictures, each made a square of `size` px.

    `say` is told of each file that is left out. Raises `UserError` where nothing remains.
    """
    answers = asked.answers
    files = _by_name(asked.inputs, say)
    known: dict[Path, Path] = {}
    if answers is not None:
        known = _by_name(answers, say)
        files = {name: file for name, file in files.items() if _paired(name, known, say)}
        if not files:
            raise UserError(f"no picture in {answers} has the name of one in {asked.inputs}, so there are no pairs")
    inputs, kept = _read(files, size, say)
    truth = _read({name: known[name] for name in kept}, size, _refuse)[0] if answers is not None else None
    real = _read(_by_name(asked.real, say), size, say)[0] if asked.real else truth
    return Pictures([name.as_posix() for name in kept], inputs, truth, real)


def _by_name(folder: Path, say: Says) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    for file in pictures(folder):
        name = file.relative_to(folder).with_suffix("")
        if found.setdefault(name, file) != file:
            say(f"left out {file}: {found[name].name} has that name too")
    return found


def _paired(name: Path, known: dict[Path, Path], say: Says) -> bool:
    if name not in known:
        say(f"left out {name}: no answer of that name")
    return name in known


def _read(files: dict[Path, Path], size: int, say: Says) -> tuple[np.ndarray, list[Path]]:
    found, kept = [], []
    for name, file in files.items():
        try:
            found.append(square(read(file), size))
            kept.append(name)
        except Unreadable as why:
            say(f"left out {why}")
    if not found:
        raise UserError("none of the pictures could be read")
    return np.stack(found), kept


def _refuse(failure: str) -> None:
    raise UserError(f"an answer cannot be used: {failure}")
