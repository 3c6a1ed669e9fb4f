"""What goes into a system (a batch) and what comes out of it (a translation).

Every picture is RGB in [-1, 1], every mask is in [0, 1]; the first axis counts the pictures. A system
names the batch that it learns from; `aggan.data.datasets` makes it.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Image = Float[Tensor, "n 3 h w"]
Mask = Float[Tensor, "n 1 h w"]
Code = Float[Tensor, "n m"]
"""What pictures show: one-hot domains, or intensities of action units in [0, 1]."""


class Unpaired(NamedTuple):
    """Pictures of two domains that have nothing to do with each other."""

    x: Image
    y: Image


class Paired(NamedTuple):
    """The same things in two domains: `y[i]` is the answer to `x[i]`."""

    x: Image
    y: Image


class Labelled(NamedTuple):
    """Pictures of any domain, what they show, and what they are to show, drawn independently."""

    image: Image
    code: Code
    target: Code


class Crossing(NamedTuple):
    """Unpaired pictures of the a-th and the b-th of many domains."""

    x: Image
    y: Image
    a: int
    b: int


class Masked(NamedTuple):
    """A `Crossing` with the masks of the objects that are to change."""

    x: Image
    y: Image
    x_mask: Mask
    y_mask: Mask
    a: int
    b: int


class Translation(NamedTuple):
    """One translated batch, Eq. 1: `image = content * mask + source * (1 - mask)`."""

    image: Image
    mask: Mask
    content: Image


def whole(image: Image) -> Translation:
    """The translation of a system without attention: the mask is 1 everywhere."""
    return Translation(image, image.new_ones(len(image), 1, *image.shape[2:]), image)
