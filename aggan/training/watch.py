"""Watches a training: losses must stay finite, and attention masks must neither vanish nor cover everything."""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

LIMIT = 0.02
"""A mask has collapsed if its mean is this close to 0 or 1, and its standard deviation is no larger."""
RECOVERED = 2 * LIMIT
"""It has recovered once it is beyond this limit."""
PATIENCE = 500
"""Steps that a collapsed mask is given while it can recover by itself: masks are often empty for the first 100."""
MEANING = {
    "empty": "The output is a copy of the input, and the mask's gradient vanishes, so it seldom recovers.",
    "full": "The generator repaints the whole image, so the mask protects nothing.",
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


class MaskStatistics(NamedTuple):
    """Mean and standard deviation of a mask's pixels."""

    mean: float
    std: float

    def state(self, limit: float = LIMIT) -> Literal["empty", "full"] | None:
        """Which way the mask has collapsed. A small mask that selects a region has not: its deviation is larger."""
        if self.std >= limit:
            return None
        return "empty" if self.mean < limit else "full" if self.mean > 1 - limit else None

    def __str__(self) -> str:
        return f"mean {self.mean:.4f}, standard deviation {self.std:.4f}"


class Notice(NamedTuple):
    """What the journal and the display say about a mask."""

    text: str
    warning: bool
    """False for the news that a mask has recovered."""


class MaskWatch:
    """Warns once when a mask collapses, and reports when it has recovered."""

    def __init__(self, advice: Callable[[bool], str]) -> None:
        """`advice` is `Method.mask_advice`."""
        self._advice = advice
        self._since: dict[tuple[str, str], int] = {}
        """The step at which a mask, by name, was first seen in its present state."""
        self._reported: dict[str, str] = {}
        """The state that was reported of a mask."""

    def check(self, step: int, masks: Mapping[str, MaskStatistics], may_recover: bool) -> list[Notice]:
        """What there is to say about the masks at this step.

        `may_recover` is whether a collapsed mask can still recover by itself. It is given some time then.
        """
        states = {name: state for name, mask in masks.items() if (state := mask.state())}
        self._since = {key: self._since.get(key, step) for key in states.items()}
        patience = PATIENCE if may_recover else 0
        collapsed = [
            name
            for name, state in states.items()
            if self._reported.get(name) != state and step - self._since[name, state] >= patience
        ]
        recovered = [name for name in self._reported if name in masks and not masks[name].state(RECOVERED)]
        self._reported = {name: state for name, state in self._reported.items() if name not in recovered}
        self._reported |= {name: states[name] for name in collapsed}
        return [
            *(Notice(self._warning(name, states[name], masks[name], step), warning=True) for name in collapsed),
            *(
                Notice(f"the attention mask {name} has recovered at step {step} ({masks[name]})", warning=False)
                for name in recovered
            ),
        ]

    def _warning(self, name: str, state: str, mask: MaskStatistics, step: int) -> str:
        advice = self._advice(state == "empty")
        hint = f" From the start of the next run: {advice}." if advice else ""
        return f"the attention mask {name} collapses at step {step}: it is {state} ({mask}). {MEANING[state]}{hint}"
