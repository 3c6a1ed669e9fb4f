"""Bicubic resampling, antialiased on the way down, as products with two sparse matrices.

What `torch.nn.functional.interpolate` gives, but of any rows alone: what is made of a large picture can be made band by
band, while the band is in the processor's cache.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

_ROWS = 64
"""About so many rows are looked at together: more of them would count for some of the wanted ones only."""
_SHARPNESS = -0.5
"""The cubic's free parameter, as Keys (1981) chose it."""


def resize(image: Float[Tensor, "n c h w"], height: int, width: int) -> Float[Tensor, "n c h2 w2"]:
    """A copy of another size."""
    if image.shape[-2] < height:
        return resize_rows(resize_columns(image, width), height, slice(0, height))
    return resize_columns(resize_rows(image, height, slice(0, height)), width)


def resize_columns(image: Float[Tensor, "n c h w"], width: int) -> Float[Tensor, "n c h w2"]:
    """A copy of another width."""
    return image.clone() if image.shape[-1] == width else image @ _weights(image.shape[-1], width).T


def resize_rows(image: Float[Tensor, "n c h w"], height: int, wanted: slice) -> Float[Tensor, "n c h2 w"]:
    """Some rows of a copy of another height."""
    if image.shape[-2] == height:
        return image[..., wanted, :].clone()
    weights = _weights(image.shape[-2], height)[wanted]
    together = max(1, _ROWS * height // image.shape[-2])
    parts = [_sums(some, image) for some in weights.split(together)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)


def _sums(weights: Float[Tensor, "h2 h"], image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w"]:
    counting = weights.any(dim=0).nonzero()
    used = slice(int(counting[0]), int(counting[-1]) + 1)
    return weights[:, used] @ image[..., used, :]


@lru_cache(maxsize=16)
def _weights(given: int, wanted: int) -> Float[Tensor, "wanted given"]:
    """How much each pixel of a line counts for each one of another length."""
    scale = given / wanted
    centres = (torch.arange(wanted, dtype=torch.float64) + 0.5) * scale
    distance = (torch.arange(given) + 0.5 - centres[:, None]).abs() / max(scale, 1)
    near = ((_SHARPNESS + 2) * distance - (_SHARPNESS + 3)) * distance**2 + 1
    far = _SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return (weights / weights.sum(dim=1, keepdim=True)).float()
