"""The `Translator`: a trained model for images of any size.

Mask and content are resized to the image's own size and composited there (Eq. 1), so pixels that the mask leaves out
keep their exact value.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image as Pillow
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from aggan.errors import UserError
from aggan.images.convert import to_pixels, to_rgb, to_tensor
from aggan.inference.compositing import ALL_ROWS, MIN_SIDE, STRIDE, composite, has_attention
from aggan.inference.views import whole_image
from aggan.io import normalized
from aggan.methods.base import Method
from aggan.methods.pretrained import CONFIG, SHIPPED, ModelCard, find_model, load_model
from aggan.nn.tiling import fix_statistics, halo, share_weights
from aggan.ops.cpu_features import limit_threads
from aggan.ops.dispatch import use_fast_convolutions
from aggan.types import Image, Translation

_RNG_LOCK = Lock()
"""Threads share torch's global random number generator."""


class Translated(NamedTuple):
    """One translated image. All parts have the size of the input."""

    image: Pillow.Image
    """RGB."""
    mask: Float32[np.ndarray, "h w"] | None
    """Attention in [0, 1]: 0 keeps the input pixel, 1 replaces it. None if the model has no attention."""
    content: Pillow.Image | None
    """RGB: the image that the mask blends in. None exactly where the mask is."""


@dataclass(frozen=True)
class TorchBackend:
    """Translates to one domain with a method in torch."""

    method: Method
    card: ModelCard
    to: str
    source: str | None = None
    sample: int = 0
    """Seed of a stochastic method."""
    bf16: bool = False
    """Compute in bfloat16, on a CPU."""

    @property
    def size(self) -> int:
        return self.card.size

    @property
    def fixed_size(self) -> bool:
        return self.method.fixed_size

    @torch.inference_mode()
    def __call__(self, images: Image) -> Translation:
        with torch.autocast("cpu", torch.bfloat16, self.bf16):
            if not self.method.stochastic:
                return self.method.translate(images, self.to, self.source)
            # The result depends on the image and the sample alone, even if other threads draw random numbers.
            with _RNG_LOCK, torch.random.fork_rng():
                torch.manual_seed(self.sample)
                return self.method.translate(images, self.to, self.source)

    def halo(self) -> int:
        """How many pixels around an area its translation depends on, a multiple of `STRIDE`."""
        backend = replace(self, method=share_weights(self.method))
        return halo(backend.method, lambda: backend(torch.zeros(1, 3, MIN_SIDE, MIN_SIDE)), STRIDE)

    def with_statistics_of(self, images: Image) -> "TorchBackend":
        """This backend for tiles of an image: instance norms normalise them by the statistics of `images`.

        These are the whole image, or several parts of it.
        """
        backend = replace(self, method=share_weights(self.method))
        fix_statistics(backend.method, lambda: backend(images))
        return backend


class Translator:
    """Translates images between the domains of one model."""

    def __init__(self, method: Method, card: ModelCard) -> None:
        self.method = method.eval()
        self.card = card

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that it translates to."""
        return self.method.targets

    @cached_property
    def attention(self) -> bool:
        """Whether its translations have a mask."""
        return has_attention(self.backend(self.domains[0], self.card.domains[0]))

    def __call__(
        self, image: Pillow.Image | np.ndarray | Tensor, to: str, source: str | None = None, sample: int = 0
    ) -> Translated:
        """Translate one image of any size to the domain `to`.

        `image` is a Pillow image of any mode, a uint8 array (h, w) or (h, w, 3 or 4), or a float tensor (3, h, w) in
        [-1, 1]. `source` is the domain of the image, which few methods need. `sample` is the seed of a stochastic
        method. Raises `UserError` if the model does not know a domain, or if `image` is none of these.
        """
        pixels = np.array(_to_rgb(image))
        prediction = whole_image(to_tensor(pixels)[None], self.backend(to, source, sample)).rows(ALL_ROWS)
        translated = Pillow.fromarray(composite(pixels, prediction))
        if not self.attention:
            return Translated(translated, None, None)
        return Translated(translated, prediction.mask[0, 0].numpy(), Pillow.fromarray(prediction.content_pixels()))

    def backend(self, to: str, source: str | None = None, sample: int = 0) -> TorchBackend:
        """The backend that translates to one domain. Raises `UserError` if the model does not know a domain."""
        spellings = {normalized(name): name for name in (*self.card.domains, *self.domains)}
        to, source = spellings.get(normalized(to), to), source and spellings.get(normalized(source), source)
        self.method.require_target(to)
        if source is not None and source not in self.card.domains:
            raise UserError(f"no domain {source!r} in this model; it knows {', '.join(self.card.domains)}")
        return TorchBackend(self.method, self.card, to, source, sample)

    def batch(self, images: Image, to: str, source: str | None = None, sample: int = 0) -> Translation:
        """Translate images at their own size; sides must be multiples of 4."""
        return self.backend(to, source, sample)(images)


def load(name_or_path: str | Path) -> Translator:
    """Load a model from a run folder, a model folder, or by the name of a model that ships.

    A run's model is that of `best` if a score chose one, otherwise that of `last`. Raises `UserError` if there is no
    model or its files are damaged.
    """
    method, card = load_model(model_folder(name_or_path))
    convert_conv2d_weight_memory_format(method, torch.channels_last)
    use_fast_convolutions(method)
    limit_threads()
    return Translator(method, card)


def model_folder(name_or_path: str | Path) -> Path:
    """The folder whose files `load` reads. Raises `UserError` if there is none."""
    if folder := find_model(Path(name_or_path)):
        return folder
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))) or "none"
    raise UserError(
        f"{name_or_path}: no model here; pass a run folder, a model folder, or a model that ships ({shipped})"
    )


def _to_rgb(image: Pillow.Image | np.ndarray | Tensor) -> Pillow.Image:
    if isinstance(image, Pillow.Image):
        return to_rgb(image)
    if isinstance(image, Tensor) and image.is_floating_point() and image.ndim == 3 and len(image) == 3:
        image = to_pixels(image)
    if isinstance(image, np.ndarray) and image.ndim > 1 and image.size:
        with suppress(TypeError):  # Pillow decides which arrays are images
            return to_rgb(Pillow.fromarray(image))
    raise UserError(
        f"{image.dtype} of shape {tuple(image.shape)} is not an image: pass a Pillow image, a uint8 array "
        "(height, width[, 3]), or a float tensor (3, height, width) in [-1, 1]"
    )
