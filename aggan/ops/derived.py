"""Tensors that follow from a weight, such as its copy in bfloat16, computed once for several passes.

A step runs its generators twice, and a discriminator sees real and generated images. Between two passes of one
forward computation no weight changes, so whatever follows from a weight alone need not be computed again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

Derivation = Callable[[Tensor, torch.dtype], Tensor]

_shared: dict[tuple[int, Derivation, torch.dtype], tuple[Tensor, Tensor]] | None = None
"""Weights, which are kept so that their ids stay theirs, and what was derived from them."""


@contextmanager
def unchanged_weights() -> Iterator[None]:
    """Inside, `derived` computes each tensor once. No weight may change inside."""
    global _shared
    before, _shared = _shared, {}
    try:
        yield
    finally:
        _shared = before


def derived(derivation: Derivation, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """`derivation(weight, dtype)` without gradients; inside `unchanged_weights` it may be a tensor from before."""
    key = id(weight), derivation, dtype
    if _shared is not None and key in _shared:
        return _shared[key][1]
    with torch.no_grad():
        tensor = derivation(weight, dtype)
    if _shared is not None:
        _shared[key] = weight, tensor
    return tensor


def cast(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in another type."""
    return weight.to(dtype)


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type in which autocast computes convolutions of `x` on a CPU: outside autocast, that of `x`."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
