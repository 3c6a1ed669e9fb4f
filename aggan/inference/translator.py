"""A trained model and pictures of any size.

The model sees a picture at the size it was trained on. Its mask and content are brought back up to
the picture's own size and fused there (Eq. 1), so what the mask leaves out stays as it was.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional as F

from aggan.batches import Image, Translation
from aggan.data.images import to_pixels, to_rgb, to_tensor
from aggan.errors import UserError
from aggan.networks.generators import fuse
from aggan.system import System
from aggan.systems.files import CONFIG, ModelCard, load_model

SHIPPED = Path(__file__).parents[1] / "models"
STRIDE = 4
"""Generators halve a picture twice: sides must be multiples of this."""
UNTOUCHED = 1 / 255
"""Pixels whose mask is smaller keep their exact value."""


class Translated(NamedTuple):
    """One translated picture, all three parts at the size of the input."""

    image: Pillow.Image
    """RGB."""
    mask: np.ndarray
    """Attention, float32 in [0, 1], shape (height, width): 0 keeps the input's pixel, 1 replaces it."""
    content: Pillow.Image
    """RGB: what the mask lets through."""


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
        that the model does not know.
        """
        pixels = np.array(_rgb(image))
        given = to_tensor(pixels)[None]
        made = self.batch(self._at_model_size(given), to, source, sample)
        height, width = pixels.shape[:2]
        mask = _resize(made.mask, height, width).clamp(0, 1)
        content = _resize(made.content, height, width).clamp(-1, 1)
        fused = to_pixels(fuse(content, mask, given)[0])
        weights = mask[0, 0].numpy()
        fused = np.where(weights[..., None] < UNTOUCHED, pixels, fused)
        return Translated(Pillow.fromarray(fused), weights, Pillow.fromarray(to_pixels(content[0])))

    @torch.inference_mode()
    def batch(self, images: Image, to: str, source: str | None = None, sample: int = 0) -> Translation:
        """Translate pictures whose sides are multiples of 4, as they are."""
        self.system.require_target(to)
        if source is not None and source not in self.card.domains:
            raise UserError(f"no domain {source!r} in this model; it knows {', '.join(self.card.domains)}")
        # Systems with noise give the same answer to the same picture; another sample is another answer.
        with torch.random.fork_rng():
            torch.manual_seed(sample)
            return self.system.translate(images, to, source)

    def _at_model_size(self, source: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h2 w2"]:
        """The shorter side becomes the model's, the longer one follows, to a multiple of 4.

        A model that takes squares of one size only gets the whole picture squeezed into one.
        """
        size = self.card.size
        height, width = source.shape[-2:]
        scale = size / min(height, width)
        sides = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width)]
        return _resize(source, *((size, size) if self.system.square else sides)).clamp(-1, 1)


def load(name_or_path: str | Path) -> Translator:
    """A translator from a run folder, a model folder, or the name of a model that ships.

    Of a run, the best model is taken where a score chose one, otherwise the last.
    """
    path = Path(name_or_path)
    for folder in (path, path / "best", path / "last", SHIPPED / str(name_or_path)):
        if (folder / CONFIG).is_file():
            return Translator(*load_model(folder))
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{CONFIG}"))) or "none"
    raise UserError(f"{name_or_path}: no model here; give a run folder, a model folder, or one that ships ({shipped})")


def _rgb(image: Pillow.Image | np.ndarray | Tensor) -> Pillow.Image:
    if isinstance(image, Tensor):
        image = to_pixels(image)
    if isinstance(image, np.ndarray):
        image = Pillow.fromarray(image)
    return to_rgb(image)


def _resize(image: Float[Tensor, "n c h w"], height: int, width: int) -> Float[Tensor, "n c h2 w2"]:
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False)
