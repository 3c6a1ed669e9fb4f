"""A picture file with all that it holds: what is painted into it leaves depth, alpha, profile and data as they were.

A result is written in the format that its name says. A JPEG keeps the tables and the subsampling of its source, but
what is exact in a lossy file is exact as decoded, before it is encoded again. Greys stay grey. Of several frames
the first one is taken.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from aggan.images.convert import Unreadable, opened, to_rgb
from aggan.images.encodings import DEFAULTS, FORMATS, ORIENTATION, encoding, format_of, metadata
from aggan.images.sixteen_bit import read_deep, write_deep
from aggan.io import write_whole

_TO_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
_BACK = {6: 8, 8: 6}
_RED, _GREEN, _BLUE = 19595, 38470, 7471
"""ITU-R 601's luma in 65,536ths, as Pillow has it: equal channels give exactly their value."""


class Unwritable(Unreadable):
    """A picture that the format of its name cannot hold; the message says which and why."""


@dataclass(frozen=True)
class Photograph:
    """Upright pixels, and how they were stored."""

    pixels: np.ndarray
    """(height, width, 3) in uint8 or uint16."""
    alpha: np.ndarray | None
    """(height, width) of the same kind."""
    grey: bool
    orientation: int
    """EXIF's number, 1 to 8, of how the file stored them."""
    format: str
    encoding: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def seen(self) -> np.ndarray:
        """(height, width, 3) in uint8, transparent parts on white: what a model looks at."""
        if self.alpha is None:
            return _eight_bits(self.pixels)
        return np.array(to_rgb(Pillow.fromarray(_eight_bits(np.dstack((self.pixels, self.alpha))))))

    def painted(self, pixels: np.ndarray) -> "Photograph":
        """The same with other pixels; what nobody can see stays."""
        if self.alpha is not None:
            pixels = np.where(self.alpha[..., None] == 0, self.pixels, pixels)
        return replace(self, pixels=pixels)

    def save(self, path: Path) -> None:
        """Write it in the format that the name says: as it lay in a file of the same format, otherwise upright.

        Raises `Unwritable`.
        """
        format, layers = FORMATS[path.suffix.lower()], self._layers(path)
        options = self.metadata | DEFAULTS[format]
        if format == self.format:
            options = self.metadata | self.encoding
            layers = _turned(layers, _BACK.get(self.orientation, self.orientation))
            if self.orientation in _TO_UPRIGHT:
                options["exif"][ORIENTATION] = self.orientation

        def write(partial: Path) -> None:
            try:
                if layers.dtype == np.uint16:
                    return write_deep(partial, layers, format, options)
                image = Pillow.fromarray(layers.squeeze(2) if layers.shape[2] == 1 else layers)
                return image.save(partial, format, **options)
            except OSError:
                raise
            except Exception as why:  # what encoders raise is of many kinds
                raise Unwritable(f"{path}: cannot be written as {format} ({why})") from why

        write_whole(path, write)

    def _layers(self, path: Path) -> np.ndarray:
        """(height, width, channels): what the format can hold of depth and transparency."""
        format, pixels, alpha = FORMATS[path.suffix.lower()], self.pixels, self.alpha
        if format == "JPEG":
            pixels, alpha = self.seen, None
        grey = self.grey and format != "WEBP"
        layers = [_luma(pixels) if grey else pixels] + ([] if alpha is None else [alpha[..., None]])
        whole = np.concatenate(layers, axis=2)
        return whole if format in ("PNG", "TIFF") else _eight_bits(whole)


def read_photograph(path: Path) -> Photograph:
    """Raises `aggan.images.convert.Unreadable`."""
    return opened(path, _photograph)


def _photograph(file: Pillow.Image) -> Photograph:
    upright = file.format == "TIFF"  # Pillow turns it when it decodes it, and forgets how it lay
    orientation = _orientation(file) if upright else 1
    grey = file.mode in ("1", "L", "LA", "I", "F") or file.mode.startswith("I;16")
    layers = read_deep(file)  # before a PNG's EXIF data: Pillow decodes the picture to find them
    if layers is None:
        layers = np.array(file.convert("RGBA") if file.has_transparency_data else to_rgb(file))
    if layers.shape[2] < 3:
        grey, layers = True, layers[..., [0, 0, 0, *range(1, layers.shape[2])]]
    if not upright:
        orientation = _orientation(file)
        layers = _turned(layers, orientation)
    alpha = layers[..., 3] if layers.shape[2] == 4 else None
    # Only now: what `metadata` takes out of the file's data would otherwise change how it is decoded.
    return Photograph(layers[..., :3], alpha, grey, orientation, format_of(file), encoding(file), metadata(file))


def _orientation(file: Pillow.Image) -> int:
    exif = file.getexif()
    with suppress(Exception):  # whether they are damaged, `metadata` asks
        exif.tobytes()  # reads all that they point at: a TIFF is closed once it is decoded
    return exif.get(ORIENTATION, 1)


def _turned(layers: np.ndarray, orientation: int) -> np.ndarray:
    turn = _TO_UPRIGHT.get(orientation)
    return layers if turn is None else np.ascontiguousarray(turn(layers))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _luma(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = (pixels[..., k : k + 1].astype(np.uint32) for k in range(3))
    return ((red * _RED + green * _GREEN + blue * _BLUE + 32768) >> 16).astype(pixels.dtype)
