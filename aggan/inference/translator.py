"""A trained model and pictures of any size.

What the mask leaves out stays as it was: mask and content are brought to the picture's own size and fused
there (Eq. 1).
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from aggan.errors import UserError
from aggan.images.convert import to_pixels, to_rgb, to_tensor
from aggan.inference.compositing import ALL, paint
from aggan.inference.views import whole
from aggan.methods.base import System
from aggan.methods.pretrained import CONFIG, SHIPPED, ModelCard, find_model, load_model
from aggan.ops.dispatch import quicken
from aggan.types import Image, Translation

_DRAWING = Lock()
"""All threads share one source of random numbers."""


class Translated(NamedTuple):
    """One translated picture, all three parts at the size of the input."""

    image: Pillow.Image
    """RGB."""
    mask: np.ndarray
    """Attention, float32 in [0, 1], shape (height, width): 0 keeps the input's pixel, 1 replaces it."""
    content: Pillow.Image
    """RGB: what the mask lets through."""


@dataclass(frozen=True)
class Torch:
    """A system that translates to one domain: the `Backend` that runs in torch."""

    system: System
    card: ModelCard
    to: str
    source: str | None = None
    sample: int = 0
    half: bool = False
    """Compute in bf16, on a CPU."""

    @property
    def size(self) -> int:
        return self.card.size

    @property
    def square(self) -> bool:
        return self.system.square

    @torch.inference_mode()
    def __call__(self, images: Image) -> Translation:
        with torch.autocast("cpu", torch.bfloat16, self.half):
            if not self.system.noisy:
                return self.system.translate(images, self.to, self.source)
            # The same picture gets the same answer, also beside other threads; another sample is another answer.
            with _DRAWING, torch.random.fork_rng():
                torch.manual_seed(self.sample)
                return self.system.translate(images, self.to, self.source)


class Translator:
    """Translates pictures between the domains of one model."""

    def __init__(self, system: System, card: ModelCard) -> None:
        self.system = system.eval()
        self.card = card

    @property
    def domains(self) -> tuple[str, ...]:
        """The names that `to` may have."""
        return self.system.targets

    def __call__(
        self, image: Pillow.Image | np.ndarray | Tensor, to: str, source: str | None = None, sample: int = 0
    ) -> Translated:
        """Translate one picture of any size to the domain `to`.

        Takes a Pillow picture of any mode, a uint8 array (height, width[, 3]) or a float tensor
        (3, height, width) in [-1, 1]. `source` is the domain that it comes from, which few systems ask
        for; `sample` numbers the answers of a system that has many. Raises `UserError` for a domain
        that the model does not know, and for what is no picture.
        """
        pixels = np.array(_rgb(image))
        layers = whole(to_tensor(pixels)[None], self.backend(to, source, sample)).rows(ALL)
        made = Pillow.fromarray(paint(pixels, layers))
        return Translated(made, layers.mask[0, 0].numpy(), Pillow.fromarray(to_pixels(layers.content[0])))

    def backend(self, to: str, source: str | None = None, sample: int = 0) -> Torch:
        """What translates to one domain; raises `UserError` for domains that the model does not know."""
        self.system.require_target(to)
        if source is not None and source not in self.card.domains:
            raise UserError(f"no domain {source!r} in this model; it knows {', '.join(self.card.domains)}")
        return Torch(self.system, self.card, to, source, sample)

    def batch(self, images: Image, to: str, source: str | None = None, sample: int = 0) -> Translation:
        """Translate pictures whose sides are multiples of 4, as they are."""
        return self.backend(to, source, sample)(images)


def load(name_or_path: str | Path) -> Translator:
    """A translator from a run folder, a model folder, or the name of a model that ships.

    Of a run, the best model is taken where a score chose one, otherwise the last.
    """
    system, card = load_model(folder_of(name_or_path))
    system.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    quicken(system)
    return Translator(system, card)


def folder_of(name_or_path: str | Path) -> Path:
    """Where the files of a model lie that `load` would take; raises `UserError` where there is none."""
    if found := find_model(Path(name_or_path)):
        return found
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{CONFIG}"))) or "none"
    raise UserError(f"{name_or_path}: no model here; give a run folder, a model folder, or one that ships ({shipped})")


def _rgb(image: Pillow.Image | np.ndarray | Tensor) -> Pillow.Image:
    if isinstance(image, Pillow.Image):
        return to_rgb(image)
    if isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and len(image) == 3:
        image = to_pixels(image)
    if isinstance(image, np.ndarray) and image.ndim > 1 and image.size:
        with suppress(TypeError):  # Pillow knows which arrays are pictures
            return to_rgb(Pillow.fromarray(image))
    raise UserError(
        f"{image.dtype} of shape {tuple(image.shape)} is no picture: give one as Pillow has it, as a uint8 array "
        "(height, width[, 3]), or as a float tensor (3, height, width) in [-1, 1]"
    )
