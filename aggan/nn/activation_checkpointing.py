"""Activation checkpointing: less memory for more computation (Chen et al., 2016).

A checkpointed trunk keeps only its input. The backward pass computes the activations a second time.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Trunk(nn.Sequential):
    """The layers of a generator that need most of its memory in training."""

    checkpointing = False
    """Whether activations are computed a second time in the backward pass; gradients are the same bit for bit."""

    def forward(self, input: Tensor) -> Tensor:
        if not (self.checkpointing and torch.is_grad_enabled()):
            return super().forward(input)
        output = checkpoint(
            super().forward,
            input,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _restored_buffers(self)),
        )
        assert isinstance(output, Tensor)
        return output


@contextmanager
def _restored_buffers(module: nn.Module) -> Iterator[None]:
    """Afterwards the running statistics are as before: the first forward pass has already counted these images."""
    saved = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:  # PyTorch leaves the second forward pass by an exception once it has all activations
        with torch.no_grad():
            for buffer, before in saved:
                buffer.copy_(before)


def enable_checkpointing(network: nn.Module) -> bool:
    """Switch checkpointing on in all trunks of a network; False if it has none."""
    trunks = [module for module in network.modules() if isinstance(module, Trunk)]
    for trunk in trunks:
        trunk.checkpointing = True
    return bool(trunks)
