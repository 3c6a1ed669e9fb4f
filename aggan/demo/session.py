"""What visitors of the web page can do: translate an image, or see it in every domain of a model."""

import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from aggan.errors import UserError
from aggan.images.ai_label import add_label
from aggan.images.decode import Unreadable
from aggan.images.encodings import SaveOptions, place_xmp
from aggan.images.file import ImageFile
from aggan.images.uploads import read_upload
from aggan.inference.compositing import ALL_ROWS, NothingToTranslate, View
from aggan.inference.faces import faces_view
from aggan.inference.pipeline import translate_image
from aggan.inference.translator import Translator, load
from aggan.inference.views import whole_image

FACES, WHOLE_IMAGE = "each face", "the whole image"
_PREVIEW = 1200
"""Longer side on the page in pixels. Downloads keep their size."""
_MAX_RESULTS = 100
_MAX_STEM = 50
"""Letters of an upload's name that the name of a result begins with: a file's name may have 255 bytes."""


@dataclass(frozen=True)
class DemoModel:
    """A model that the page offers."""

    translator: Translator
    views: Mapping[str, View]
    """By their names on the page."""

    @property
    def domains(self) -> list[str]:
        return list(self.translator.domains)


def load_model(model: str) -> DemoModel:
    """Load a model, with the view `Faces` if the extra `faces` is installed. Raises `UserError` if there is none."""
    translator = load(model)
    if not find_spec("dlib"):
        return DemoModel(translator, {WHOLE_IMAGE: whole_image})
    faces = faces_view(model, partial(print, file=sys.stderr))
    return DemoModel(translator, {FACES: faces, WHOLE_IMAGE: whole_image})


class Choices(NamedTuple):
    """What a visitor chose, besides the image and the domain."""

    model: str
    view: str
    strength: float


class Result(NamedTuple):
    """One translation, with previews for the page."""

    before: Pillow.Image
    after: Path
    """A file, as browsers save what they show: it is labelled as edited by AI, like the translation itself."""
    mask: Pillow.Image | None
    """None if the model has no attention."""
    content: Path | None
    """Likewise."""
    file: Path
    """The translation at full size, in the source's format if that can be written."""


class ResultStore:
    """Keeps the newest results on disk, each in its own folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: deque[Path] = deque()

    def new_folder(self) -> Path:
        """Create a folder. If there are too many, the oldest one is deleted."""
        if len(self._folders) >= _MAX_RESULTS:
            shutil.rmtree(self._folders.popleft(), ignore_errors=True)
        self._folders.append(Path(tempfile.mkdtemp(dir=self._root)))
        return self._folders[-1]


@dataclass(frozen=True)
class Session:
    """The actions of the page. They raise `UserError` with a sentence for the visitor."""

    models: Mapping[str, DemoModel]
    """By their names on the page."""
    megapixels: float
    """Larger images are refused."""
    store: ResultStore

    def translate(self, path: str | None, choices: Choices, to: str) -> Result:
        """Translate the uploaded file at `path`."""
        return self._translate_to(path, choices, [to])[0]

    def translate_to_all(self, path: str | None, choices: Choices) -> list[tuple[Path, str]]:
        """The image in every domain of the model, with the names of the domains."""
        domains = self.models[choices.model].domains
        results = self._translate_to(path, choices, domains)
        return [(result.after, to) for result, to in zip(results, domains, strict=True)]

    def _translate_to(self, path: str | None, choices: Choices, domains: list[str]) -> list[Result]:
        if not path:
            raise UserError("Choose an image first.")
        model = self.models[choices.model]
        image = read_upload(Path(path), self.megapixels, model.translator.card.bits)
        stem = Path(path).stem[:_MAX_STEM] or "image"
        return [translate(image, model, choices, to, self.store.new_folder() / f"{stem}-{to}") for to in domains]


def translate(image: ImageFile, model: DemoModel, choices: Choices, to: str, target: Path) -> Result:
    """Translate an image and save the result as `target`, which has no suffix.

    Raises `UserError` if there is nothing to translate, or the result cannot be written.
    """
    try:
        translated, prediction = translate_image(
            image, model.translator.backend(to), model.views[choices.view], choices.strength
        )
    except NothingToTranslate as error:
        raise UserError(f"There is {error} in this image. Try the whole image instead.") from None
    file = target.with_name(target.name + image.suffix)
    mask = content = None
    try:
        translated.save(file)
        after = save_preview(translated.rgb8, file.with_suffix(".after.webp"), translated.ai_label)
        if model.translator.attention:
            full = prediction.rows(ALL_ROWS)
            mask = preview(full.mask_pixels())
            content = save_preview(full.content_pixels(), file.with_suffix(".content.webp"), ai_label=True)
    except (OSError, UserError, Unreadable) as error:
        raise UserError("The result could not be written.") from error
    return Result(preview(image.rgb8), after, mask, content, file)


def save_preview(pixels: UInt8[np.ndarray, "h w 3"], file: Path, ai_label: bool) -> Path:
    """Save an image small enough for the page as WebP, and return its path."""
    options: SaveOptions = {"quality": 90}
    if ai_label:
        place_xmp(options, add_label(), "WEBP")
    preview(pixels).save(file, "WEBP", **options)
    return file


def preview(pixels: UInt8[np.ndarray, "h w *c"]) -> Pillow.Image:
    """An image small enough for the page."""
    image = Pillow.fromarray(pixels)
    image.thumbnail((_PREVIEW, _PREVIEW), Pillow.Resampling.LANCZOS)
    return image
