"""What visitors of the web page may do: translate a picture, or see it in every domain of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image as Pillow

from aggan.demo.looking import Shelf, Shown, fetch, show
from aggan.errors import UserError
from aggan.inference.layers import View
from aggan.inference.translator import Translator


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
