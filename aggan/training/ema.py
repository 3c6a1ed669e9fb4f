"""An exponential moving average of the translators: steadier pictures than any single step's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from aggan.methods.base import System


class Average:
    """Follows the translators with a decay; young averages follow faster, so that the start is forgotten."""

    def __init__(self, system: System, decay: float) -> None:
        self.system = system
        self.decay = decay
        self.state = {key: value.detach().clone() for key, value in system.translators_state().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take one step in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in self.system.translators_state().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    def load(self, state: dict[str, Tensor]) -> None:
        for key, value in state.items():
            self.state[key].copy_(value)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the system translates with the averaged weights."""
        own = {key: value.detach().clone() for key, value in self.system.translators_state().items()}
        self.system.load_translators(self.state)
        try:
            yield
        finally:
            self.system.load_translators(own)
