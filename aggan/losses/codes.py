"""Losses on codes: what a picture shows, or what it was made from."""

from torch import Tensor
from torch.nn import functional as F

from aggan.batches import Code


def classification(logits: Tensor, code: Code) -> Tensor:
    """Cross entropy of one-hot codes, averaged over the pictures (Choi et al., 2018, Eqs. 2 and 3)."""
    return F.cross_entropy(logits, code.argmax(1))


def regression(read: Tensor, code: Code) -> Tensor:
    """Mean squared error over the numbers of a code and over the pictures (Pumarola et al., 2018, Eq. 3)."""
    return F.mse_loss(read, code)


def to_standard_normal(mean: Code, log_variance: Code) -> Tensor:
    """Kullback-Leibler divergence of Gaussians from N(0, 1), summed over codes and batch (as BicycleGAN's)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
