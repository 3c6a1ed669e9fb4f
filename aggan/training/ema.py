"""An exponential moving average of the weights that translate: its images are steadier than those of a single step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from aggan.methods.base import Method


class EMA:
    """Averages the inference networks; the decay is lower at the start, so that the initial weights are forgotten."""

    def __init__(self, method: Method, decay: float) -> None:
        self.method = method
        self.decay = decay
        self.state = {key: value.detach().clone() for key, value in method.inference_state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average in the weights after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in self.method.inference_state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for key, value in self.state.items():
            value.copy_(state[key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the method translates with the averaged weights."""
        weights = {key: value.detach().clone() for key, value in self.method.inference_state_dict().items()}
        self.method.load_inference_state_dict(self.state)
        try:
            yield
        finally:
            self.method.load_inference_state_dict(weights)
