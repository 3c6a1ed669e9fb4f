"""Images of a study: all of one size, encoding and file length, without metadata."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.data.folders import list_named
from aggan.data.listing import name_below
from aggan.errors import UserError
from aggan.images.convert import Pixels, Unreadable, read, square
from aggan.io import printable
from aggan.study.sampling import Images

GRID = 4
"""Rows and columns into which the image of an attention check is cut."""
MAX_SIZE = 512
"""Largest default side in pixels; larger images load slowly on a phone."""


def find_images(folder: Path, warn: Callable[[str], object]) -> Images:
    """The images of a folder by name. `warn` is called about each file that is left out.

    Names are in Unicode's composed form, so that images pair whatever disk or archive they come from. Raises
    `UserError` if two images have the same name, or if there is none.
    """
    images: Images = {}
    listing = list_named(folder)
    for sentence in listing.sentences():
        warn(sentence)
    for path in listing.files:
        name = printable(name_below(path, folder).as_posix())
        if name in images:
            raise UserError(f"{folder}: {images[name].name} and {path.name} have the same name {name!r}: remove one")
        images[name] = path
    return images


def shorter_sides(paths: Iterable[Path]) -> set[int]:
    """The distinct shorter sides of images, in pixels."""
    return {min(_read(path).size) for path in paths}


class ImageWriter:
    """Writes images to a folder under numbered names, in which a fake image cannot be told from a real one."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size, self.count = folder, size, 0
        folder.mkdir(parents=True)

    def add(self, path: Path) -> str:
        """Write the centred square of an image. Returns the new file name."""
        return self._write(square(_read(path), self.size))

    def add_scrambled(self, path: Path) -> str:
        """Write the centred square of an image with its tiles rearranged. Returns the new file name."""
        return self._write(scramble_tiles(square(_read(path), self.size)))

    def equalize_file_lengths(self) -> None:
        """Pad all files to the same length. PNG decoders ignore bytes after the end of the image."""
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


def scramble_tiles(pixels: Pixels) -> Pixels:
    """Move every tile of a 4 x 4 grid to another place; a margin that fills no tile stays."""
    tile = len(pixels) // GRID
    side = tile * GRID
    tiles = pixels[:side, :side].reshape(GRID, tile, GRID, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    moved = np.roll(tiles, GRID + 1, axis=0).reshape(GRID, GRID, tile, tile, 3)
    scrambled = pixels.copy()
    scrambled[:side, :side] = moved.swapaxes(1, 2).reshape(side, side, 3)
    return scrambled


def _read(path: Path) -> Pillow.Image:
    try:
        return read(path)
    except Unreadable as error:
        raise UserError(f"{error}: remove or replace it") from error
