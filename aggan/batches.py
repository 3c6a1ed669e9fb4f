"""What goes into a system (a batch) and what comes out of it (a translation).

Every picture is RGB in [-1, 1], every mask is in [0, 1]; the first axis counts the pictures.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Image = Float[Tensor, "n 3 h w"]
Mask = Float[Tensor, "n 1 h w"]


class Unpaired(NamedTuple):
    """Pictures of two domains that have nothing to do with each other."""

    x: Image
    y: Image


class Translation(NamedTuple):
    """One translated batch, Eq. 1: `image = content * mask + source * (1 - mask)`."""

    image: Image
    mask: Mask
    content: Image
