"""The models that a server offers, and the views of each."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from aggan.errors import UserError
from aggan.inference.compositing import View
from aggan.inference.faces import Faces, faces_view
from aggan.inference.options import TranslateOptions
from aggan.inference.pipeline import tiles_view
from aggan.inference.translator import TorchBackend, Translator, load
from aggan.inference.views import whole_image


@dataclass(frozen=True)
class ServedModel:
    """A model that is loaded."""

    name: str
    translator: Translator
    faces: Faces | None
    """None if the extra `faces` is not installed."""

    def view(self, options: TranslateOptions, backend: TorchBackend) -> View:
        """The view that a request chose. Raises `UserError` if this server or the model has no such view."""
        if options.tiles:
            return tiles_view(backend)
        if not options.faces:
            return whole_image
        if self.faces is None:
            raise UserError("this server cannot find faces: the extra `faces` is not installed there")
        return self.faces


def load_models(names: Sequence[str], models: Sequence[str]) -> list[ServedModel]:
    """Load models, each with its name. Raises `UserError` if one cannot be loaded."""
    return [_load(name, model) for name, model in zip(names, models, strict=True)]


def _load(name: str, model: str) -> ServedModel:
    faces = faces_view(model, partial(print, file=sys.stderr)) if find_spec("dlib") else None
    return ServedModel(name, load(model), faces)
