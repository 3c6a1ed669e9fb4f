"""The records of `images.jsonl` and `pairs.jsonl`: what is known about each image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from aggan.data.index import Record
from jaxtyping import Float

from rendered_faces.action_units import intensities
from rendered_faces.expressions import ACTIONS
from rendered_faces.protocols import Sitting


def image_path(sitting: Sitting, expression: str) -> str:
    """Path of an image relative to the set's folder."""
    top = "answers" if expression in sitting.ground_truth else sitting.split
    return f"{top}/{expression}/{sitting.name}.png"


def image_record(
    sitting: Sitting,
    expression: str,
    details: Mapping[str, Any],
    actions: Mapping[str, float],
    landmarks: Float[np.ndarray, "68 2"],
) -> Record:
    """The record of one image, with the fields that `docs/data.md` lists.

    `details` are further fields about the person in this sitting. Landmarks are (x, y) in pixels.
    """
    values = {name: round(actions.get(name, 0.0), 4) for name in ACTIONS}
    fields: Record = {
        "file": image_path(sitting, expression),
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
    if expression in sitting.ground_truth:
        fields["input"] = f"{sitting.split}/{sitting.expressions[0]}/{sitting.name}.png"
    return fields
