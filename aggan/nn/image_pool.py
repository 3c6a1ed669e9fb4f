"""A pool of past fakes for the discriminators (Shrivastava et al., 2017; kept by CycleGAN and AGGAN).

With probability 1/2 a fresh sample is swapped for a stored one and takes its place. What belongs
together, such as a picture and its mask, is stored and drawn together.
"""

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """The last fakes, at most `size` of them; a size of 0 hands the fresh ones straight back.

    The content is part of the state dict, so that an interrupted training goes on exactly.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.stored: list[tuple[Tensor, ...]] = []

    @torch.no_grad()
    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Swap some of a batch, given as tensors that share their first axis; gives detached tensors."""
        chosen = [self._swap(tuple(part.detach() for part in sample)) for sample in zip(*parts, strict=True)]
        return tuple(torch.stack(part) for part in zip(*chosen, strict=True))

    def _swap(self, fresh: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if len(self.stored) < self.size:
            self.stored.append(tuple(part.clone() for part in fresh))
            return fresh
        if self.size == 0 or torch.rand(()) < 0.5:
            return fresh
        place = int(torch.randint(self.size, ()))
        past = self.stored[place]
        self.stored[place] = tuple(part.clone() for part in fresh)
        # Those from a checkpoint are on the CPU.
        return tuple(part.to(new.device) for part, new in zip(past, fresh, strict=True))

    def get_extra_state(self) -> list[tuple[Tensor, ...]]:
        return self.stored

    def set_extra_state(self, state: list[tuple[Tensor, ...]]) -> None:
        self.stored = list(state)
