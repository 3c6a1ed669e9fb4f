"""How good translations are: a row of means with intervals for them, and always one for copying the input."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aggan.data.faces.expressions import EXPRESSIONS
from aggan.evaluation import metrics
from aggan.evaluation.judges import Features, Judges
from aggan.shares import wilson

Row = dict[str, Any]
"""Figures by measure, None for what cannot be measured; `pictures`; and `intervals`, of 95 %, by measure."""
Values = dict[str, np.ndarray]
"""Every measure of each picture, (n,) by its name."""
SHARES = ("judged", "rank-1")
"""Measures that are 0 or 1 for each picture."""
FEW = 10
"""Sets of fewer pictures are not compared as sets."""


@dataclass(frozen=True)
class Measured:
    """What is to be measured: aligned uint8 arrays (n, height, width, 3)."""

    inputs: np.ndarray
    outputs: np.ndarray
    answers: np.ndarray | None
    """The true answers; without pairs there are none, and no measure that needs them."""
    masks: np.ndarray | None = None
    """Attention masks (n, height, width) in [0, 1]."""
    real: np.ndarray | None = None
    """Real pictures (m, height, width, 3) of the domain that was translated to."""
    back: np.ndarray | None = None
    """The outputs, translated back to where they came from."""


def table(measured: Measured, judges: Judges, target: str, values: Values | None = None) -> dict[str, Row]:
    """Rows by name: the translation, copy the input, and the true answer where it is known.

    `values` are the translation's by `each`, where they are there already.
    """
    rows = {
        "translation": row(measured, judges, target, values),
        "copy the input": row(replace(measured, outputs=measured.inputs, masks=None, back=None), judges, target),
    }
    # Of the answers no distance from real pictures is told: as a rule they are these pictures.
    if measured.answers is not None:
        rows["true answer"] = row(Measured(measured.inputs, measured.answers, measured.answers), judges, target)
    return rows


def row(measured: Measured, judges: Judges, target: str, values: Values | None = None) -> Row:
    """Means over the pictures of each measure, with their intervals."""
    found: Row = {"pictures": len(measured.inputs)}
    values = each(measured, judges, target) if values is None else values
    distances = _distances(measured, judges.features)
    found |= {name: float(known.mean()) if len(known := _known(some)) else None for name, some in values.items()}
    if "mse" in values:
        errors = values["mse"]
        found["psnr pooled"] = metrics.psnr(errors.mean(keepdims=True)).item() if errors.any() else None
        found["identical"] = int((errors == 0).sum())
    intervals = {name: _interval(name, known) for name, some in values.items() if len(known := _known(some))}
    intervals |= {name: ends for name, (_, ends) in distances.items()}
    return found | {name: value for name, (value, _) in distances.items()} | {"intervals": intervals}


def columns(values: Values) -> dict[str, list[float | None]]:
    """What `each` gives, for JSON: None where a measure is not defined."""
    return {
        name: [float(f"{value:.6g}") if np.isfinite(value) else None for value in some] for name, some in values.items()
    }


def each(measured: Measured, judges: Judges, target: str) -> Values:
    """Every measure of each picture, (n,) by its name; nan or infinite where it is not defined or not known."""
    inputs, outputs = measured.inputs, measured.outputs
    found = {"change": metrics.change(inputs, outputs)}
    if target in EXPRESSIONS:
        seen = judges.expression.says(outputs) == EXPRESSIONS.index(target)
        found["judged"] = np.where(target in judges.expression.knows, seen, np.nan)
    likeness = judges.identity.identities(outputs) @ judges.identity.identities(inputs).T
    found |= {"identity": np.diag(likeness), "rank-1": metrics.rank_one(likeness)}
    if measured.masks is not None:
        found["mask mean"] = measured.masks.mean(axis=(1, 2))
        found["mask spread"] = measured.masks.std(axis=(1, 2))
    if measured.back is not None:
        found["cycle error"] = metrics.change(inputs, measured.back)
    if measured.answers is not None and judges.perceptual:
        found["lpips"] = judges.perceptual(outputs, measured.answers)
    return found | (_paired(measured, measured.answers) if measured.answers is not None else {})


def _paired(measured: Measured, answers: np.ndarray) -> dict[str, np.ndarray]:
    inputs, outputs, masks = measured.inputs, measured.outputs, measured.masks
    errors, still = metrics.mse(outputs, answers), metrics.still(inputs, answers)
    found = {
        "mse": errors,
        "psnr": metrics.psnr(errors),
        "ssim": metrics.ssim(outputs, answers),
        "ms-ssim": metrics.ms_ssim(outputs, answers),
        "change where still": metrics.change_where(still, inputs, outputs),
    }
    return found | ({"mask where changed": metrics.share_inside(~still, masks)} if masks is not None else {})


def _distances(measured: Measured, features: Features | None) -> dict[str, tuple[float, tuple[float, float]]]:
    """How far the outputs as a set are from real pictures, each with its interval."""
    if measured.real is None or features is None or min(len(measured.real), len(measured.outputs)) < FEW:
        return {}
    made, real = features.of(measured.outputs), features.of(measured.real)
    kinds = {"kernel distance": metrics.kernel, "frechet distance": metrics.frechet}
    return {name: (kind(made, real), metrics.interval_of(kind, made, real)) for name, kind in kinds.items()}


def _interval(name: str, values: np.ndarray) -> tuple[float, float]:
    return wilson(int(values.sum()), len(values)) if name in SHARES else metrics.interval(values)


def _known(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
