"""Watches a training: losses must stay finite, and attention masks must neither vanish nor cover everything."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

EMPTY, FULL = 0.02, 0.98
"""Mean of a mask below or above which it is called collapsed: a saturated sigmoid passes hardly any gradient."""
MEANING = {
    EMPTY: (
        "The output is a copy of the input: with an empty mask the cycle and pixel losses are zero, and the mask's "
        "gradient vanishes, so it seldom recovers."
    ),
    FULL: "The generator repaints the whole image, so the mask protects nothing.",
}


class Diverged(Exception):
    """A value is not finite. The message says which one, and at which step."""


def require_finite(step: int, values: Mapping[str, float]) -> None:
    """Raise `Diverged` on the first value that is infinite or not a number."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(f"the loss term {name!r} became {value} at step {step}")


class MetricAccumulator:
    """Averages scalars over steps. They stay on the device until `flush`, so no step waits for them."""

    def __init__(self) -> None:
        self._values: list[tuple[int, str, Tensor]] = []

    def add(self, step: int, values: Mapping[str, Tensor]) -> None:
        """Add scalars, shape ()."""
        self._values.extend((step, name, value.detach().float()) for name, value in values.items())

    def flush(self) -> dict[str, float]:
        """The means since the last flush by name. Raises `Diverged` on the first value that is not finite."""
        if not self._values:
            return {}
        steps, names, tensors = zip(*self._values, strict=True)
        self._values = []
        collected: dict[str, list[float]] = {}
        for step, name, value in zip(steps, names, torch.stack(tensors).tolist(), strict=True):
            require_finite(step, {name: value})
            collected.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in collected.items()}


class MaskWatch:
    """Warns when a mask's mean crosses a limit, and again only after it has recovered."""

    def __init__(self, advice: Callable[[bool], str]) -> None:
        """`advice` is `Method.mask_advice`."""
        self._advice = advice
        self._collapsed: dict[str, float] = {}

    def check(self, step: int, means: Mapping[str, float]) -> list[str]:
        """The warnings that the masks' means at this step give cause for."""
        warnings = []
        for name, mean in means.items():
            limit = EMPTY if mean < EMPTY else FULL if mean > FULL else None
            if limit is None:
                self._collapsed.pop(name, None)
            elif self._collapsed.get(name) != limit:
                self._collapsed[name] = limit
                state = "empty" if limit == EMPTY else "full"
                advice = self._advice(limit == EMPTY)
                hint = f" From the start of the next run: {advice}." if advice else ""
                warnings.append(
                    f"the attention mask {name} collapses at step {step}: its mean is {mean:.4f} ({state}). "
                    f"{MEANING[limit]}{hint}"
                )
        return warnings
