"""What `pictures.jsonl` says of a picture: one JSON object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aggan.data.index import Record

from .action_units import intensities
from .expressions import ACTIONS
from .protocols import Sitting


def place(sitting: Sitting, expression: str) -> str:
    """Where a picture lies below the set's folder."""
    top = "answers" if expression in sitting.answers else sitting.split
    return f"{top}/{expression}/{sitting.name}.png"


def record(
    sitting: Sitting, expression: str, details: Mapping[str, Any], actions: Mapping[str, float], landmarks: np.ndarray
) -> Record:
    """All that is known of a picture (`docs/data.md` lists the fields); `details` tells of the person here."""
    values = {name: round(actions.get(name, 0.0), 4) for name in ACTIONS}
    known: Record = {
        "file": place(sitting, expression),
        "split": sitting.split,
        "expression": expression,
        "person": f"{sitting.person:04d}",
        **sitting.details,
        **details,
        "yaw": round(sitting.scene.yaw, 2),
        "pitch": round(sitting.scene.pitch, 2),
        "roll": round(sitting.scene.roll, 2),
        "gaze_angles": [round(angle, 2) for angle in sitting.scene.gaze],
        "actions": values,
        "action_units": intensities(values),
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in landmarks],
    }
    if expression in sitting.answers:
        known["input"] = f"{sitting.split}/{sitting.expressions[0]}/{sitting.name}.png"
    return known
