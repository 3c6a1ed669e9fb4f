"""All losses, as formulas.

    n, h, w       images in a batch, height and width in pixels
    m             length of a code
    E             mean over images, and over patches where D scores patches
    D(x), D(G)    scores of real and of fake images, (n, ...)
    |a|           mean of absolute values over channels and pixels

All losses are scalars to be minimised, computed in float32.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.types import Code, Image, Mask

Scalar = Float[Tensor, ""]
Scores = Float[Tensor, "..."]
Features = Sequence[Float[Tensor, "n ..."]]
"""The outputs of several layers of a network."""


# --- adversarial losses


class Adversarial(NamedTuple):
    """The losses of the two players of a GAN."""

    discriminator_loss: Callable[[Scores, Scores], Scalar]
    """From D(x) and D(G)."""
    generator_loss: Callable[[Scores], Scalar]
    """From D(G)."""


least_squares = Adversarial(
    discriminator_loss=lambda real, fake: (real - 1).square().mean() + fake.square().mean(),
    generator_loss=lambda fake: (fake - 1).square().mean(),
)
"""E[(D(x) - 1)^2] + E[D(G)^2];  E[(D(G) - 1)^2] (LSGAN; Mao et al., 2017)."""

cross_entropy = Adversarial(
    discriminator_loss=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    generator_loss=lambda fake: F.softplus(-fake).mean(),
)
"""-E[log s(D(x))] - E[log(1 - s(D(G)))];  -E[log s(D(G))], where s is the sigmoid (Goodfellow et al., 2014)."""

wasserstein = Adversarial(
    discriminator_loss=lambda real, fake: fake.mean() - real.mean(),
    generator_loss=lambda fake: -fake.mean(),
)
"""E[D(G)] - E[D(x)];  -E[D(G)] (Arjovsky et al., 2017). D needs a gradient penalty, or clipped weights."""


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Float[Tensor, "n c h w"], fake: Float[Tensor, "n c h w"]
) -> Scalar:
    """E[(||grad D(u)||_2 - 1)^2] for u = e x + (1 - e) G, e uniform in [0, 1] (Gulrajani et al., 2017, Eq. 3)."""
    e = torch.rand(len(real), 1, 1, 1, device=real.device)
    u = (e * real + (1 - e) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(u).sum(), u, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(discriminator: Callable[[Tensor], Scores], real: Float[Tensor, "n c h w"]) -> Scalar:
    """E[||grad D(x)||_2^2] for real images x, where D is the mean score of an image (Mescheder et al., 2018)."""
    x = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).flatten(1).mean(1).sum(), x, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)).mean()


# --- images and masks


def l1(a: Float[Tensor, "n ..."], b: Float[Tensor, "n ..."]) -> Scalar:
    """E|a - b| (||.||_1 of AGGAN's Eqs. 4 and 5)."""
    return (a.float() - b.float()).abs().mean()


def total_variation(mask: Mask | Image) -> Scalar:
    """sum_{h,w} |M(h, w+1) - M(h, w)| + |M(h+1, w) - M(h, w)|, averaged over the n masks or images (AGGAN, Eq. 6).

    It grows with the resolution: a mask of the same shape at 128 px has half (sharp edges) to a quarter (noise) of
    its value at 256 px.
    """
    mask = mask.float()
    horizontal = (mask[..., 1:] - mask[..., :-1]).abs().sum()
    vertical = (mask[..., 1:, :] - mask[..., :-1, :]).abs().sum()
    return (horizontal + vertical) / mask.shape[0]


def outside_band(mask: Mask, low: float, high: float) -> Scalar:
    """max(0, 1 - E[M] / low)^2 + max(0, 1 - (1 - E[M]) / (1 - high))^2: 0 in the band, 1 if M is all 0 or all 1."""
    mean = mask.float().mean()
    return (1 - mean / low).clamp(min=0).square() + (1 - (1 - mean) / (1 - high)).clamp(min=0).square()


# --- codes


def classification(logits: Float[Tensor, "n m"], code: Code) -> Scalar:
    """-E[log softmax(logits)_k] for one-hot codes with a 1 at k (Choi et al., 2018, Eqs. 2 and 3)."""
    return F.cross_entropy(logits, code.argmax(1))


def regression(prediction: Code, code: Code) -> Scalar:
    """E[(prediction - code)^2], the mean over the m numbers (Pumarola et al., 2018, Eq. 3)."""
    return F.mse_loss(prediction, code)


def kl_to_standard_normal(mean: Code, log_variance: Code) -> Scalar:
    """KL(N(mean, variance) || N(0, 1)), summed over codes and batch as in BicycleGAN's code (Zhu et al., 2017b)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()


# --- features of a network


def feature_matching(real: Features, fake: Features) -> Scalar:
    """sum_layers mean((E[f(x)] - E[f(G)])^2), with E over the batch (Kim et al., 2017)."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([(r.float().mean(0) - f.float().mean(0)).square().mean() for r, f in pairs]).sum()


def perceptual(source: Features, output: Features) -> Scalar:
    """sum_layers E[(f(G) - f(x))^2], without gradients through the source x (Johnson et al., 2016)."""
    pairs = zip(source, output, strict=True)
    return torch.stack([(o.float() - s.detach().float()).square().mean() for s, o in pairs]).sum()


def contrastive(output: Float[Tensor, "n c"], target: Float[Tensor, "n c"], source: Float[Tensor, "n c"]) -> Scalar:
    """E[-log(e^-|f(G) - f(y)| / (e^-|f(G) - f(y)| + e^-|f(G) - f(x)|))], y target, x source (Liang et al., 2018).

    |.| is the mean over the c channels instead of the sum, so that the exponentials do not underflow.
    """
    to_target, to_source = ((output - other).abs().mean(1) for other in (target, source))
    return F.softplus(to_target - to_source).mean()


# --- distances that a translation should preserve (Benaim & Wolf, 2017)


def pairwise_distances(images: Image) -> Float[Tensor, " pairs"]:
    """|x_i - x_j| of all n (n - 1) / 2 pairs i < j of a batch (Eq. 2)."""
    pairs = combinations(images.float(), 2)
    return torch.stack([(first - second).abs().mean() for first, second in pairs])


def half_distances(images: Image) -> Float[Tensor, " n"]:
    """|top half - bottom half| of each image (Eq. 5)."""
    half = images.shape[2] // 2
    return (images[:, :, :half].float() - images[:, :, half : 2 * half].float()).abs().mean((1, 2, 3))
