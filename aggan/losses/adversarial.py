"""Adversarial losses, each a pair: `judge` teaches the discriminator, `fool` the generator."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


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

cross_entropy = Adversarial(
    judge=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    fool=lambda fake: F.softplus(-fake).mean(),
)
"""Goodfellow et al., 2014, on logits; the generator has the form that does not saturate."""

wasserstein = Adversarial(judge=lambda real, fake: fake.mean() - real.mean(), fool=lambda fake: -fake.mean())
"""Arjovsky et al., 2017: the critic must be kept smooth by a gradient penalty or by clipped weights."""


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean of (||gradient|| - 1)^2 at points between real and fake pictures (Gulrajani et al., 2017, Eq. 3)."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()
