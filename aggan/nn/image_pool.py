"""A pool of past fakes for the discriminators (Shrivastava et al., 2017; also in CycleGAN and AGGAN)."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps up to `size` past fakes and mixes them with new ones.

    Once the pool is full, each new sample is swapped with probability 1/2: the pool returns a random stored sample
    and keeps the new one in its place. A pool of size 0 returns all new samples.

    The stored samples are part of the state dict, so a resumed training continues exactly.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.stored: list[tuple[Tensor, ...]] = []

    @torch.no_grad()
    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Swap samples of a batch. Returns detached tensors of the same shapes.

        The tensors share their first axis. What belongs together, such as an image and its mask, is stored and
        returned together.
        """
        samples = [self._swap(tuple(part.detach() for part in sample)) for sample in zip(*parts, strict=True)]
        return tuple(torch.stack(part) for part in zip(*samples, strict=True))

    def _swap(self, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if len(self.stored) < self.size:
            self.stored.append(tuple(part.clone() for part in new))
            return new
        if self.size == 0 or torch.rand(()) < 0.5:
            return new
        index = int(torch.randint(self.size, ()))
        past = self.stored[index]
        self.stored[index] = tuple(part.clone() for part in new)
        # Samples from a checkpoint are on the CPU.
        return tuple(past_part.to(part.device) for past_part, part in zip(past, new, strict=True))

    def get_extra_state(self) -> list[tuple[Tensor, ...]]:
        return self.stored

    def set_extra_state(self, state: list[tuple[Tensor, ...]]) -> None:
        self.stored = list(state)
