"""What goes into a method (a batch) and what comes out of it (a translation).

    n, h, w    images in a batch, height and width in pixels
    m          length of a code

Images are RGB in [-1, 1], masks are in [0, 1]. `Needs` says which batch a method learns from;
`aggan.data.datasets` makes the batches.
"""

from enum import Enum
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Image = Float[Tensor, "n 3 h w"]
Mask = Float[Tensor, "n 1 h w"]
Code = Float[Tensor, "n m"]
"""What images show: one-hot domains, or intensities of action units in [0, 1]."""


class Needs(Enum):
    """The training data that a method needs."""

    UNPAIRED = "two domains"
    PAIRED = "pairs"
    LABELLED = "domains"
    ACTION_UNITS = "domains, action units"
    CROSS_DOMAIN = "domains, two per step"
    MASKED = "domains, masks"

    @property
    def many_domains(self) -> bool:
        """Whether there may be more than two domains."""
        return self not in (Needs.UNPAIRED, Needs.PAIRED)


class UnpairedBatch(NamedTuple):
    """Images of two domains, drawn independently."""

    x: Image
    y: Image


class PairedBatch(NamedTuple):
    """The same scenes in two domains: `y[i]` is the ground truth for `x[i]`."""

    x: Image
    y: Image


class LabelledBatch(NamedTuple):
    """Images of any domain, their codes, and target codes drawn independently."""

    image: Image
    code: Code
    target: Code


class CrossDomainBatch(NamedTuple):
    """Unpaired images of the a-th and the b-th of many domains."""

    x: Image
    y: Image
    a: int
    b: int


class MaskedBatch(NamedTuple):
    """A `CrossDomainBatch` with the masks of the objects to change."""

    x: Image
    y: Image
    x_mask: Mask
    y_mask: Mask
    a: int
    b: int


class Translation(NamedTuple):
    """One translated batch. With attention it is Eq. 1: `image = content * mask + source * (1 - mask)`."""

    image: Image
    mask: Mask | None = None
    """None where the method has no attention: the image is then generated as a whole."""
    content: Image | None = None
    """None exactly where the mask is."""

    def attended(self) -> tuple[Image, Mask, Image]:
        """Image, mask and content of a method that always has attention."""
        assert self.mask is not None
        assert self.content is not None
        return self.image, self.mask, self.content
