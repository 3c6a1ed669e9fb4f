"""Less memory for more time: layers that forget what they computed, and compute it again on the way back."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Trunk(nn.Sequential):
    """Layers in a row, most of what a generator holds in memory while it learns."""

    recompute = False
    """Whether to keep only the input and compute everything else twice; gradients are the same."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.recompute and torch.is_grad_enabled()):
            return super().forward(input)
        again = checkpoint(super().forward, input, use_reentrant=False, context_fn=lambda: (nullcontext(), _once(self)))
        assert isinstance(again, Tensor)
        return again


@contextmanager
def _once(layers: nn.Module) -> Iterator[Any]:
    """Afterwards, running statistics are as they were before: they had seen these pictures already."""
    kept = [(buffer, buffer.clone()) for buffer in layers.buffers()]
    try:
        yield
    finally:  # it leaves by an exception as soon as it has what it needs
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)


def save_memory(network: nn.Module) -> bool:
    """Make all trunks of a network compute twice; False if it has none."""
    trunks = [layer for layer in network.modules() if isinstance(layer, Trunk)]
    for trunk in trunks:
        trunk.recompute = True
    return bool(trunks)
