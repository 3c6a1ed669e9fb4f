"""Adversarial losses, each a pair: `judge` teaches the discriminator, `fool` the generator."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Adversarial(NamedTuple):
    """A game between two players, each with a scalar to minimise."""

    judge: Callable[[Tensor, Tensor], Tensor]
    """The discriminator's loss, from what it says of real and of fake pictures."""
    fool: Callable[[Tensor], Tensor]
    """The generator's loss, from what the discriminator says of its pictures."""


least_squares = Adversarial(
    judge=lambda real, fake: (real - 1).square().mean() + fake.square().mean(),
    fool=lambda fake: (fake - 1).square().mean(),
)
"""Mao et al., 2017: real is 1 and fake is 0; means over pictures and patches."""
