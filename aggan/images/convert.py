"""Conversion between image files, uint8 pixels and tensors.

Files become RGB uint8 whatever their mode, depth or orientation (`aggan.images.decode`). Tensors are float32 in
[-1, 1], channels first.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from aggan.images.decode import Pixels, Unreadable, open_image, read, square, to_rgb

__all__ = ["Pixels", "Unreadable", "open_image", "read", "square", "to_pixels", "to_rgb", "to_tensor"]


def to_tensor(pixels: UInt8[np.ndarray, "*n h w 3"]) -> Float[Tensor, "*n 3 h w"]:
    """Scale uint8 to [-1, 1]."""
    values = torch.from_numpy(np.array(pixels)).movedim(-1, -3).contiguous()
    return values.float().div_(127.5).sub_(1)


def to_pixels(image: Float[Tensor, "*n 3 h w"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """Clamp to [-1, 1], scale to uint8 and round."""
    values = image.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return values.to(torch.uint8).movedim(-3, -1).cpu().numpy()
