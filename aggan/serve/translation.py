"""The translation of one received image: its file in memory, the files of the reply in memory."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import NamedTuple

from PIL import Image as Pillow

from aggan.errors import UserError
from aggan.images.convert import Unreadable
from aggan.images.formats import FORMATS
from aggan.images.opening import ReceivedFile
from aggan.images.uploads import read_upload
from aggan.inference.compositing import NothingToTranslate
from aggan.inference.paths import PNG, OutputPaths
from aggan.inference.pipeline import part_images, plan_versions, translate_image
from aggan.inference.translator import TorchBackend
from aggan.serve.models import ServedModel
from aggan.serve.request import TranslateQuery
from aggan.types import Image, Translation

STEM = "image"
"""The name of the files in a zip file: `image.jpg`, `image.mask.png`."""


class AbandonedError(Exception):
    """Nobody waits for a translation any more."""


class Reply(NamedTuple):
    """A file, and its media type."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class AbandonableBackend:
    """A backend that raises `AbandonedError` once nobody waits: tiles and faces call it many times."""

    backend: TorchBackend
    abandoned: Event

    @property
    def size(self) -> int:
        return self.backend.size

    @property
    def fixed_size(self) -> bool:
        return self.backend.fixed_size

    def __call__(self, images: Image) -> Translation:
        if self.abandoned.is_set():
            raise AbandonedError
        return self.backend(images)

    def with_statistics_of(self, images: Image) -> "AbandonableBackend":
        """The same for tiles of an image."""
        return AbandonableBackend(self.backend.with_statistics_of(images), self.abandoned)


def require_possible(model: ServedModel, query: TranslateQuery) -> None:
    """Raise `UserError` if the model cannot do what a query says, or a reply cannot hold it."""
    options = query.options()
    model.view(options, model.translator.backend(query.to, options.source))
    if query.output in ("mask", "content") and not model.translator.attention:
        raise UserError(f"this model has no attention, so there is no {query.output}")
    if query.samples > 1 and query.output != "zip":
        raise UserError("several samples need a zip file: choose output=zip")


def translate(content: bytes, model: ServedModel, query: TranslateQuery, megapixels: float, abandoned: Event) -> Reply:
    """Translate the image file `content`.

    Raises `UserError` if it cannot be read or shows nothing to translate, or if the result cannot be written, and
    `AbandonedError` once `abandoned` is set.
    """
    try:
        files = list(_files(content, model, query, megapixels, abandoned))
    except NothingToTranslate as error:
        raise UserError(f"there is {error} in this image") from None
    except Unreadable as error:
        raise UserError(f"the result {error}") from error
    return Reply(_zip(files), "application/zip") if query.output == "zip" else files[0][1]


def _files(
    content: bytes, model: ServedModel, query: TranslateQuery, megapixels: float, abandoned: Event
) -> Iterator[tuple[str, Reply]]:
    """The files of the reply, by name."""
    options, translator = query.options(), model.translator
    image = read_upload(ReceivedFile(content), megapixels, options.bits or translator.card.bits)
    suffix = PNG if options.png else image.suffix
    paths = OutputPaths(Path(STEM + suffix), Path(STEM), suffix)
    for version in plan_versions(query.to, options):
        backend = translator.backend(version.to, options.source, version.sample)
        view, abandonable = model.view(options, backend), AbandonableBackend(backend, abandoned)
        translated, prediction = translate_image(image, abandonable, view, options.strength, options.ai_label)
        if query.output in ("image", "zip"):
            yield paths.image(version.suffix).name, Reply(translated.encode(suffix), Pillow.MIME[FORMATS[suffix]])
        parts = part_images(prediction, options.ai_label) if options.masks and translator.attention else {}
        for part, part_image in parts.items():
            if query.output in ("zip", part.removeprefix(".")):
                stream = io.BytesIO()
                part_image.save(stream)
                yield paths.part(version.suffix + part).name, Reply(stream.getvalue(), "image/png")


def _zip(files: Sequence[tuple[str, Reply]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, reply in files:
            archive.writestr(name, reply.content)
    return stream.getvalue()
