"""Adversarial losses, each a pair: `judge` teaches the discriminator, `fool` the generator."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from aggan.types import Code, Image, Mask


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


# --- '"""Losses between pictures, and on masks."""'
def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference over pictures, channels and pixels (Eqs. 4 and 5 norm by ||.||_1)."""
    return (a.float() - b.float()).abs().mean()


def total_variation(mask: Mask | Image) -> Tensor:
    """Eq. 6: absolute differences of neighbours, summed over a mask (or picture), averaged over the masks.

    The sum runs over neighbours that exist. It grows with the resolution: a mask of the same
    shape at 128 px has half (sharp edges) to a quarter (noise) of its value at 256 px.
    """
    mask = mask.float()
    across = (mask[..., 1:] - mask[..., :-1]).abs().sum()
    down = (mask[..., 1:, :] - mask[..., :-1, :]).abs().sum()
    return (across + down) / mask.shape[0]


def outside_band(mask: Mask, low: float, high: float) -> Tensor:
    """0 while the mean of the masks lies in the band, growing quadratically to 1 at an empty or a full mask."""
    mean = mask.float().mean()
    return (1 - mean / low).clamp(min=0).square() + (1 - (1 - mean) / (1 - high)).clamp(min=0).square()


# --- '"""Losses on codes: what a picture shows, or what it was made from."""'
def classification(logits: Tensor, code: Code) -> Tensor:
    """Cross entropy of one-hot codes, averaged over the pictures (Choi et al., 2018, Eqs. 2 and 3)."""
    return F.cross_entropy(logits, code.argmax(1))


def regression(read: Tensor, code: Code) -> Tensor:
    """Mean squared error over the numbers of a code and over the pictures (Pumarola et al., 2018, Eq. 3)."""
    return F.mse_loss(read, code)


def to_standard_normal(mean: Code, log_variance: Code) -> Tensor:
    """Kullback-Leibler divergence of Gaussians from N(0, 1), summed over codes and batch (as BicycleGAN's)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()


# --- '"""Losses on what a discriminator\'s layers saw."""'
def matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Squared differences of the batch's mean features, summed over the layers (Kim et al., 2017)."""
    return torch.stack([(r.float().mean(0) - f.float().mean(0)).square().mean() for r, f in _pairs(real, fake)]).sum()


def perceived(source: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of features, summed over the layers; the source's are no one's to move."""
    return torch.stack([(m.float() - s.detach().float()).square().mean() for s, m in _pairs(source, made)]).sum()


def contrasting(made: Tensor, aim: Tensor, source: Tensor) -> Tensor:
    """-log of how much closer made features (n, c) are to the aim than to the source (Liang et al., 2018).

    Distances are means over channels, so that the exponentials do not underflow.
    """
    to_aim, to_source = ((made - other).abs().mean(1) for other in (aim, source))
    return torch.nn.functional.softplus(to_aim - to_source).mean()


def _pairs(first: Sequence[Tensor], second: Sequence[Tensor]):
    return zip(first, second, strict=True)


# --- '"""Distances between pictures that a translation should keep (Benaim & Wolf, 2017)."""'
def across(images: Image) -> Tensor:
    """Mean absolute difference of every two pictures of a batch, (n (n - 1) / 2,)."""
    pairs = combinations(images.float(), 2)
    return torch.stack([(first - second).abs().mean() for first, second in pairs])


def within(images: Image) -> Tensor:
    """Mean absolute difference of the top and the bottom half of each picture, (n,)."""
    half = images.shape[2] // 2
    return (images[:, :, :half].float() - images[:, :, half : 2 * half].float()).abs().mean((1, 2, 3))
