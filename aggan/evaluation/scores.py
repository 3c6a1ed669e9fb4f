"""How good translations are: a row of means for them, and always the same row for copying the input."""

from dataclasses import dataclass

import numpy as np

from aggan.evaluation import metrics
from aggan.evaluation.judges import EXPRESSIONS, Judge, says

Row = dict[str, float | int | None]


@dataclass(frozen=True)
class Measured:
    """What is to be measured: aligned uint8 arrays (n, height, width, 3)."""

    inputs: np.ndarray
    outputs: np.ndarray
    answers: np.ndarray | None
    """The true answers; without pairs there are none, and no measure that needs them."""
    masks: np.ndarray | None = None
    """Attention masks (n, height, width) in [0, 1]."""


def table(measured: Measured, judge: Judge, target: str) -> dict[str, Row]:
    """Rows by name: the translation, copy the input, and the true answer where it is known."""
    rows = {
        "translation": row(measured, judge, target),
        "copy the input": row(Measured(measured.inputs, measured.inputs, measured.answers), judge, target),
    }
    if measured.answers is not None:
        rows["true answer"] = row(Measured(measured.inputs, measured.answers, measured.answers), judge, target)
    return rows


def row(measured: Measured, judge: Judge, target: str) -> Row:
    """Means over the pictures of each measure; None for what cannot be measured here."""
    found: Row = {"pictures": len(measured.inputs), "change": _mean(metrics.change(measured.inputs, measured.outputs))}
    if target in EXPRESSIONS:
        found["judged"] = float((says(judge, measured.outputs) == EXPRESSIONS.index(target)).mean())
    if measured.masks is not None:
        found["mask mean"] = float(measured.masks.mean())
        found["mask spread"] = float(measured.masks.std(axis=(1, 2)).mean())
    if measured.answers is not None:
        found |= _paired(measured, measured.answers)
    return found


def _paired(measured: Measured, answers: np.ndarray) -> Row:
    inputs, outputs, masks = measured.inputs, measured.outputs, measured.masks
    errors = metrics.mse(outputs, answers)
    ratios = metrics.psnr(errors)
    still = metrics.still(inputs, answers)
    found: Row = {
        "mse": _mean(errors),
        "psnr": _mean(ratios[np.isfinite(ratios)]),
        "psnr pooled": metrics.psnr(errors.mean(keepdims=True)).item() if errors.any() else None,
        "identical": int((errors == 0).sum()),
        "ssim": _mean(metrics.ssim(outputs, answers)),
        "change where still": _mean(metrics.change_where(still, inputs, outputs)),
    }
    if masks is not None:
        found["mask where changed"] = _mean(metrics.share_inside(~still, masks))
    return found


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
