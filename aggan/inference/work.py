"""What is done to each picture that a user names."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image as Pillow

from aggan.data.images import to_pixels, to_tensor
from aggan.inference.files import Results
from aggan.inference.layers import ALL, Backend, NothingSeen, Said, View, paint
from aggan.inference.photograph import Photograph, read_photograph
from aggan.writing import write_whole

PARTS = (".mask", ".content")


@dataclass(frozen=True)
class Work:
    """Read, look, paint, write."""

    backends: Mapping[str, Backend]
    """What translates, by the kind of result: it stands in the result's name."""
    view: View
    strength: float = 1.0
    parts: bool = False
    """Write mask and content, too."""

    def translate(self, results: Results) -> None:
        """Write all results of one picture; raises `aggan.data.images.Unreadable`.

        Where there is nothing to translate the picture is copied, and `NothingSeen` raised.
        """
        photograph = read_photograph(results.source)
        seen = to_tensor(photograph.seen)[None]
        for kind, backend in self.backends.items():
            try:
                said = self.view(seen, backend)
            except NothingSeen:
                for each in self.backends:
                    _copy(photograph, results.source, results.picture(each))
                raise
            photograph.painted(paint(photograph.pixels, said, self.strength)).save(results.picture(kind))
            if self.parts:
                _save_parts(said, results, kind)


def _copy(photograph: Photograph, source: Path, target: Path) -> None:
    if source.suffix == target.suffix:
        write_whole(target, partial(shutil.copyfile, source))
    else:
        photograph.save(target)


def _save_parts(said: Said, results: Results, kind: str) -> None:
    layers = said.rows(ALL)
    mask = Pillow.fromarray((layers.mask[0, 0].numpy() * 255).round().astype("uint8"))
    for part, image in zip(PARTS, (mask, Pillow.fromarray(to_pixels(layers.content[0]))), strict=True):
        write_whole(results.part(kind + part), lambda partial, image=image: image.save(partial, "PNG"))
