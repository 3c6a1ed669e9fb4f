"""Is the training still alive: losses must be finite, and an attention mask must neither vanish nor fill up."""

import math
from collections.abc import Collection, Mapping

EMPTY, FULL = 0.02, 0.98
"""Means of a mask at which a warning comes. From there a sigmoid hardly passes a gradient back."""

MEANING = {
    EMPTY: (
        "The generator copies its input: with an empty mask the cycle and pixel losses are zero, and the mask's "
        "gradient vanishes with it, so it seldom comes back by itself."
    ),
    FULL: "The generator redraws the whole picture, so nothing is kept by the mask.",
}
REMEDIES = {
    EMPTY: {
        "r_late": "a smaller weight of those losses later on (--system.r-late 0.02)",
        "lambda_cycle": "a smaller weight of the cycle loss (--system.lambda-cycle)",
        "lambda_band": "a pull into a band (--system.lambda-band 1)",
    },
    FULL: {
        "r_late": "more weight on the cycle and pixel losses (a larger --system.r-late)",
        "lambda_cycle": "more weight on the cycle loss (--system.lambda-cycle)",
        "lambda_band": "a pull into a band (--system.lambda-band 1)",
    },
}
"""What to try, by the setting that a system must have for it."""


class Diverged(Exception):
    """A loss term that is no number any more; the message says which and when."""


def require_finite(step: int, terms: Mapping[str, float]) -> None:
    """Raise `Diverged` on the first term of a step that is infinite or not a number."""
    for name, value in terms.items():
        if not math.isfinite(value):
            raise Diverged(f"the loss term {name!r} became {value} at step {step}")


class MaskWatch:
    """Warns once when a mask's mean crosses a limit, and once more only after it has come back."""

    def __init__(self, settings: Collection[str]) -> None:
        """`settings` are the names of those that the system has."""
        self._settings = settings
        self._ill: dict[str, float] = {}

    def look(self, step: int, means: Mapping[str, float]) -> list[str]:
        """Warnings that the masks' means at this step give cause for."""
        warnings = []
        for name, mean in means.items():
            limit = EMPTY if mean < EMPTY else FULL if mean > FULL else None
            if limit is None:
                self._ill.pop(name, None)
            elif self._ill.get(name) != limit:
                self._ill[name] = limit
                state = "empty" if limit == EMPTY else "full"
                warnings.append(
                    f"the attention mask {name} is dying at step {step}: its mean is {mean:.4f} "
                    f"({state}). {MEANING[limit]} {self._advice(limit)}"
                )
        return warnings

    def _advice(self, limit: float) -> str:
        known = [remedy for setting, remedy in REMEDIES[limit].items() if setting in self._settings]
        return f"Try, from the run's start: {'; '.join(known)}." if known else ""
