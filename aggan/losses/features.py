"""Losses on what a discriminator's layers saw."""

from collections.abc import Sequence

import torch
from torch import Tensor


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
