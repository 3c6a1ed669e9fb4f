"""A default mask for images of faces: an ellipse where the face probably is."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

CENTRE, SEMI_AXES = (0.5, 0.55), (0.42, 0.5)
"""(x, y) in sides of the image: a choice of this project, for faces that fill the image."""
SUPERSAMPLING = 4


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # a cached tensor that a translation made first must be fit for training
def face_ellipse(height: int, width: int) -> Float[Tensor, "h w"]:
    """1 inside, 0 outside, antialiased at the edge."""
    y, x = (
        ((torch.arange(SUPERSAMPLING * side) + 0.5) / (SUPERSAMPLING * side) - centre) / semi_axis
        for side, centre, semi_axis in zip((height, width), reversed(CENTRE), reversed(SEMI_AXES), strict=True)
    )
    inside = (x.square() + y[:, None].square() < 1).float()
    return F.avg_pool2d(inside[None], SUPERSAMPLING)[0]
