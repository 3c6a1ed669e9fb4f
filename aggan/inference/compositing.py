"""Compositing of a model's prediction into an image, at the image's own size and depth (Eq. 1)."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt, UInt8
from torch import Tensor
from torch.nn import functional as F

from aggan.images.convert import to_pixels
from aggan.types import Image, Translation

STRIDE = 4
"""Generators halve an image twice, so sides must be multiples of this."""
MIN_SIDE = 2 * STRIDE
"""Reflection padding needs two pixels even after halving twice."""
MIN_MASK = 1 / 255
"""Pixels keep their exact value unless the scaled mask is larger."""
ALL_ROWS = slice(None)
"""For `LazyPrediction.rows`: the whole image."""
_BAND_PIXELS = 2**15
"""Pixels composited at a time. A band of this size stays in the CPU's cache."""


class NothingToTranslate(Exception):
    """An image shows nothing that the view translates; the message names what is missing ("no face")."""


class MaskAndContent(NamedTuple):
    """The prediction for one image, at the image's size. Without attention the mask is 1 everywhere."""

    mask: Float[Tensor, "1 1 h w"]
    """0 keeps the input pixel, 1 replaces it."""
    content: Float[Tensor, "1 3 h w"]
    """In [-1, 1]."""

    def rows(self, band: slice) -> "MaskAndContent":
        """Mask and content of some rows."""
        return MaskAndContent(self.mask[..., band, :], self.content[..., band, :])

    def mask_pixels(self) -> UInt8[np.ndarray, "h w"]:
        """The mask as a grey image: 255 where the input is replaced."""
        return (self.mask[0, 0].numpy() * 255).round().astype(np.uint8)

    def content_pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        """The content as an RGB image."""
        return to_pixels(self.content[0])


@runtime_checkable
class LazyPrediction(Protocol):
    """A prediction for one image. Mask and content exist, or are computed for the rows that are requested."""

    def rows(self, band: slice) -> MaskAndContent:
        """Mask and content of some rows."""
        ...


@runtime_checkable
class Backend(Protocol):
    """Translates images to one domain: a method in torch, or an exported file."""

    @property
    def size(self) -> int:
        """Side of the training images in pixels."""
        ...

    @property
    def fixed_size(self) -> bool:
        """Whether images must be squares of that size. Otherwise sides are multiples of `STRIDE` from `MIN_SIDE` on."""
        ...

    def __call__(self, images: Image) -> Translation:
        """Translate images (n, 3, h, w) in [-1, 1]."""
        ...


View = Callable[[Float[Tensor, "1 3 h w"], Backend], LazyPrediction]
"""How a model is applied to an image of any size."""


def has_attention(backend: Backend) -> bool:
    """Whether its translations have a mask. This translates one small black image."""
    side = backend.size if backend.fixed_size else MIN_SIDE
    return backend(torch.zeros(1, 3, side, side)).mask is not None


def mask_and_content(translation: Translation) -> MaskAndContent:
    """Mask and content of one translated image. Without attention, the image itself replaces every pixel."""
    image, mask, content = translation
    if mask is None or content is None:
        return MaskAndContent(torch.ones_like(image[:, :1]), image)
    return MaskAndContent(mask, content)


def composite(
    pixels: UInt[np.ndarray, "h w 3"], prediction: LazyPrediction, strength: float = 1.0
) -> UInt[np.ndarray, "h w 3"]:
    """`x + strength * M * (C - x)`, or exactly x where strength * M is at most `MIN_MASK`.

    `pixels` are uint8 or uint16, and so is the result.
    """
    source = torch.from_numpy(np.ascontiguousarray(pixels))
    output = torch.empty_like(source)
    half = np.iinfo(pixels.dtype).max / 2
    rows = max(1, _BAND_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        band = slice(top, top + rows)
        mask, content = prediction.rows(band)
        mask = F.threshold(mask * strength, MIN_MASK, 0.0)
        x = source[band].movedim(-1, 0)[None].contiguous().float().div_(half).sub_(1)
        fused = torch.lerp(x, content, mask).clamp_(-1, 1).add_(1).mul_(half).round_().to(output.dtype)
        torch.stack(fused[0].unbind(), dim=-1, out=output[band])
    return output.numpy()
