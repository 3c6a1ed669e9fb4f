"""What the web page asks of a model, without the page."""

import shutil
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from aggan.errors import UserError
from aggan.images.convert import Unreadable, opened, to_pixels, to_tensor
from aggan.images.encodings import FORMATS
from aggan.images.file import Photograph, read_photograph
from aggan.inference.compositing import ALL, Backend, NothingSeen, View, paint
from aggan.inference.translator import Translator

READ = frozenset("AVIF BMP GIF JPEG MPO PNG PPM TIFF WEBP".split())
"""Formats that are decoded: none of them runs another program."""
_PREVIEW = 1200
"""Pixels of the longer side on the page; what is downloaded keeps its size."""
_RESULTS = 100


class Shown(NamedTuple):
    """One translation as the page shows it."""

    before: Pillow.Image
    after: Pillow.Image
    mask: Pillow.Image
    content: Pillow.Image
    file: Path
    """The translation at its full size, in the source's format where that can be written."""


class Shelf:
    """Keeps the newest results on disk, each in a folder of its own."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._folders: deque[Path] = deque()

    def place(self) -> Path:
        """A new folder; the oldest one goes where there are too many."""
        if len(self._folders) >= _RESULTS:
            shutil.rmtree(self._folders.popleft(), ignore_errors=True)
        self._folders.append(Path(tempfile.mkdtemp(dir=self._room)))
        return self._folders[-1]


def fetch(path: Path, megapixels: float) -> Photograph:
    """The uploaded picture; raises `UserError` with one sentence for whoever uploaded it."""
    try:
        format, (width, height) = opened(path, lambda file: (file.format, file.size))
        if format not in READ:
            raise UserError(f"This is a {format} file. Take one of {', '.join(sorted(READ))}.")
        if width * height > megapixels * 1e6:
            raise UserError(f"The picture has {width} x {height} pixels; at most {megapixels:g} megapixels are taken.")
        return read_photograph(path)
    except Unreadable as why:
        # Paths and what decoders say are of no use to people elsewhere, and none of their business.
        said, *_ = str(why).removeprefix(f"{path}: ").split(" (")
        raise UserError(f"This cannot be used: {said}.") from None


def show(photograph: Photograph, backend: Backend, view: View, strength: float, target: Path) -> Shown:
    """Translate; `target` has no suffix. Raises `UserError` where there is nothing to translate, or no way to write."""
    try:
        layers = view(to_tensor(photograph.seen)[None], backend).rows(ALL)
    except NothingSeen as why:
        raise UserError(f"There is {why} in this picture. Try to look at the whole of it.") from None
    made = photograph.painted(paint(photograph.pixels, layers, strength))
    suffix = next((suffix for suffix, format in FORMATS.items() if format == photograph.format), ".png")
    file = target.with_name(target.name + suffix)
    try:
        made.save(file)
    except (UserError, Unreadable) as why:
        raise UserError("The result could not be written.") from why
    mask = (layers.mask[0, 0].numpy() * 255).round().astype(np.uint8)
    before, after, content = photograph.seen, made.seen, to_pixels(layers.content[0])
    return Shown(preview(before), preview(after), preview(mask), preview(content), file)


def preview(pixels: np.ndarray) -> Pillow.Image:
    """Small enough for a page."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((_PREVIEW, _PREVIEW), Pillow.Resampling.LANCZOS)
    return image


# --- '"""What visitors of the web page may do: translate a picture, or see it in every domain of a model."""'
@dataclass(frozen=True)
class Model:
    """A model that the page offers."""

    translator: Translator
    looks: Mapping[str, View]
    """How it may look at a picture, by what the page calls that."""

    @property
    def domains(self) -> list[str]:
        return list(self.translator.domains)


class Wish(NamedTuple):
    """What a visitor wants of a picture."""

    model: str
    look: str
    strength: float


@dataclass(frozen=True)
class Visits:
    """All methods raise `UserError` with a sentence for the visitor."""

    models: Mapping[str, Model]
    megapixels: float
    shelf: Shelf

    def translate(self, path: str | None, wish: Wish, to: str) -> Shown:
        """One translation; `path` is the uploaded file."""
        return self._all(path, wish, [to])[0]

    def everything(self, path: str | None, wish: Wish) -> list[tuple[Pillow.Image, str]]:
        """The picture in every domain of the model, and the domain's name."""
        domains = self.models[wish.model].domains
        return [(shown.after, to) for shown, to in zip(self._all(path, wish, domains), domains, strict=True)]

    def _all(self, path: str | None, wish: Wish, domains: list[str]) -> list[Shown]:
        if not path:
            raise UserError("Choose a picture first.")
        model, photograph = self.models[wish.model], fetch(Path(path), self.megapixels)
        name = Path(path).stem or "picture"
        return [
            show(
                photograph,
                model.translator.backend(to),
                model.looks[wish.look],
                wish.strength,
                self.shelf.place() / f"{name}-{to}",
            )
            for to in domains
        ]
