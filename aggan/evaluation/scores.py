"""How good translations are: a row of means with intervals for them, and always one for copying the input."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from aggan.data.faces.expressions import EXPRESSIONS
from aggan.evaluation import metrics
from aggan.evaluation.judges import Judges

Row = dict[str, Any]
"""Figures by measure, None for what cannot be measured; `pictures`; and `intervals`, of 95 %, by measure."""


@dataclass(frozen=True)
class Measured:
    """What is to be measured: aligned uint8 arrays (n, height, width, 3)."""

    inputs: np.ndarray
    outputs: np.ndarray
    answers: np.ndarray | None
    """The true answers; without pairs there are none, and no measure that needs them."""
    masks: np.ndarray | None = None
    """Attention masks (n, height, width) in [0, 1]."""


def table(measured: Measured, judges: Judges, target: str) -> dict[str, Row]:
    """Rows by name: the translation, copy the input, and the true answer where it is known."""
    rows = {
        "translation": row(measured, judges, target),
        "copy the input": row(Measured(measured.inputs, measured.inputs, measured.answers), judges, target),
    }
    if measured.answers is not None:
        rows["true answer"] = row(Measured(measured.inputs, measured.answers, measured.answers), judges, target)
    return rows


def row(measured: Measured, judges: Judges, target: str) -> Row:
    """Means over the pictures of each measure, with their intervals."""
    found: Row = {"pictures": len(measured.inputs)}
    values = each(measured, judges, target)
    found |= {name: float(known.mean()) if len(known := _known(some)) else None for name, some in values.items()}
    if "mse" in values:
        errors = values["mse"]
        found["psnr pooled"] = metrics.psnr(errors.mean(keepdims=True)).item() if errors.any() else None
        found["identical"] = int((errors == 0).sum())
    intervals = {name: metrics.interval(known) for name, some in values.items() if len(known := _known(some))}
    return found | {"intervals": intervals}


def each(measured: Measured, judges: Judges, target: str) -> dict[str, np.ndarray]:
    """Every measure of each picture, (n,) by its name; nan or infinite where it is not defined."""
    inputs, outputs = measured.inputs, measured.outputs
    found = {"change": metrics.change(inputs, outputs)}
    if target in EXPRESSIONS:
        found["judged"] = (judges.expression.says(outputs) == EXPRESSIONS.index(target)).astype(np.float64)
    likeness = judges.identity.identities(outputs) @ judges.identity.identities(inputs).T
    found |= {"identity": np.diag(likeness), "rank-1": metrics.rank_one(likeness)}
    if measured.masks is not None:
        found["mask mean"] = measured.masks.mean(axis=(1, 2))
        found["mask spread"] = measured.masks.std(axis=(1, 2))
    return found | (_paired(measured, measured.answers) if measured.answers is not None else {})


def _paired(measured: Measured, answers: np.ndarray) -> dict[str, np.ndarray]:
    inputs, outputs, masks = measured.inputs, measured.outputs, measured.masks
    errors, still = metrics.mse(outputs, answers), metrics.still(inputs, answers)
    found = {
        "mse": errors,
        "psnr": metrics.psnr(errors),
        "ssim": metrics.ssim(outputs, answers),
        "change where still": metrics.change_where(still, inputs, outputs),
    }
    return found | ({"mask where changed": metrics.share_inside(~still, masks)} if masks is not None else {})


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
