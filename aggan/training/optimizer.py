"""The optimizer of one network.

PyTorch's fused Adam copies weights, gradients and moments that are not contiguous, three times slower than without.
Weights in channels-last memory are not, so the optimizer learns from views of them whose axes are in the order of the
memory. Its state is saved with the axes of the weights.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from aggan.methods.base import Update
from aggan.training.config import TrainingConfig


class NetworkOptimizer:
    """The configured optimizer, with the betas of the update if it has its own."""

    def __init__(self, config: TrainingConfig, update: Update, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self._reordered = [p.ndim == 4 and not p.is_contiguous() for p in self.parameters]
        views = [view.requires_grad_() for view in self._in_memory_order([p.detach() for p in self.parameters])]
        rate, betas, decay = config.learning_rate, update.betas or config.betas, config.weight_decay
        self._optimizer: torch.optim.Optimizer
        if config.optimizer == "rmsprop":
            self._optimizer = torch.optim.RMSprop(views, rate, betas[1], weight_decay=decay)
        else:
            self._optimizer = torch.optim.Adam(views, rate, betas, weight_decay=decay, fused=True)
        self._views = views

    def step(self, learning_rate: float) -> None:
        """Learn from the gradients of the parameters, and remove them."""
        gradients = self._in_memory_order([p.grad for p in self.parameters])
        for view, gradient in zip(self._views, gradients, strict=True):
            view.grad = gradient
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        for parameter in self.parameters:
            parameter.grad = None

    @property
    def moments(self) -> list[Tensor]:
        """What the optimizer remembers of each parameter."""
        return [moment for state in self._optimizer.state.values() for moment in state.values()]

    def state_dict(self) -> dict[str, Any]:
        return self._with_axes(self._optimizer.state_dict(), lambda moment: moment.permute(0, 3, 1, 2))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the moments; the settings stay as configured."""
        group = self._optimizer.param_groups[0]
        configured = {key: value for key, value in group.items() if key != "params"}
        self._optimizer.load_state_dict(self._with_axes(state, lambda moment: moment.permute(0, 2, 3, 1)))
        self._optimizer.param_groups[0].update(configured)

    def _in_memory_order(self, tensors: list) -> list:
        """Tensors as the parameters, or None, with the order of axes that makes them contiguous."""
        return [
            tensor.permute(0, 2, 3, 1) if reordered and tensor is not None else tensor
            for tensor, reordered in zip(tensors, self._reordered, strict=True)
        ]

    def _with_axes(self, state: dict[str, Any], reorder: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        moments = {
            index: {
                name: reorder(value) if self._reordered[index] and value.ndim == 4 else value
                for name, value in parameter.items()
            }
            for index, parameter in state["state"].items()
        }
        return state | {"state": moments}
