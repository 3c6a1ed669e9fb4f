"""Colours that several modules share."""

from __future__ import annotations

import numpy as np


def linear(rgb: np.ndarray) -> np.ndarray:
    """8-bit sRGB to linear light."""
    return (np.asarray(rgb, float) / 255.0) ** 2.2
