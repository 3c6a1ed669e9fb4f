"""Pictures of a study: one size, one encoding, one length in bytes, and nothing in them but pixels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.data.folders import pictures
from aggan.errors import UserError
from aggan.images.convert import Pixels, Unreadable, read, square
from aggan.inference.pipeline import PARTS
from aggan.study.draw import Files

TILES = 4
"""An attention check shows a picture cut into so many rows and columns, out of order."""
MOST = 512
"""Pixels of a side, unless asked for: larger pictures are slow on a telephone."""


def files(folder: Path) -> Files:
    """The pictures of a folder by name, without masks and contents; raises `UserError` where two have the same."""
    found: Files = {}
    there = pictures(folder)
    wholes = {path.with_suffix("") for path in there}.union(there)
    for path in there:
        base = path.with_suffix("")
        if base.suffix in PARTS and base.with_suffix("") in wholes:
            continue
        name = base.relative_to(folder).as_posix()
        if name in found:
            raise UserError(f"{folder}: both {found[name].name} and {path.name} are called {name!r}: remove one")
        found[name] = path
    return found


def sides(paths: Iterable[Path]) -> set[int]:
    """The shorter sides of pictures, in pixels."""
    return {min(_read(path).size) for path in paths}


class Gallery:
    """Writes pictures to a folder, under names that say nothing."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size, self.count = folder, size, 0
        folder.mkdir(parents=True)

    def add(self, path: Path) -> str:
        """Write the picture's centred square and give its new name."""
        return self._write(square(_read(path), self.size))

    def add_scrambled(self, path: Path) -> str:
        """Write the picture with all its tiles in other places."""
        return self._write(scrambled(square(_read(path), self.size)))

    def close(self) -> None:
        """Make all files equally long: what follows the end of a PNG is not read."""
        paths = list(self.folder.iterdir())
        longest = max(path.stat().st_size for path in paths)
        for path in paths:
            with path.open("ab") as file:
                file.write(bytes(longest - file.tell()))

    def _write(self, pixels: Pixels) -> str:
        name = f"{self.count:05}.png"
        Pillow.fromarray(pixels).save(self.folder / name, "PNG")
        self.count += 1
        return name


def scrambled(pixels: Pixels) -> Pixels:
    """No tile stays where it was; what does not fill a tile does."""
    tile = len(pixels) // TILES
    cut = tile * TILES
    tiles = pixels[:cut, :cut].reshape(TILES, tile, TILES, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    moved = np.roll(tiles, TILES + 1, axis=0).reshape(TILES, TILES, tile, tile, 3)
    made = pixels.copy()
    made[:cut, :cut] = moved.swapaxes(1, 2).reshape(cut, cut, 3)
    return made


def _read(path: Path) -> Pillow.Image:
    try:
        return read(path)
    except Unreadable as why:
        raise UserError(f"{why}: remove or replace it") from why
