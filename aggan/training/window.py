"""The figures of the last steps, left on the device until somebody looks: no step waits for them."""

import torch
from torch import Tensor

from aggan.training.health import require_finite


class Window:
    """Collects named scalars a step."""

    def __init__(self) -> None:
        self._taken: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, figures: dict[str, Tensor]) -> None:
        self._taken.extend((step, name, value.detach().float()) for name, value in figures.items())

    def empty_out(self) -> dict[str, float]:
        """The means of what was collected, by name; raises `Diverged` on the first that is not finite."""
        if not self._taken:
            return {}
        steps, names, tensors = zip(*self._taken, strict=True)
        self._taken = []
        found: dict[str, list[float]] = {}
        for step, name, value in zip(steps, names, torch.stack(tensors).tolist(), strict=True):
            require_finite(step, {name: value})
            found.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in found.items()}
