"""Grooming and clothing: hair, beard, make-up, clothes, glasses and head coverings."""

from __future__ import annotations

import numpy as np

from rendered_faces.colours import linear
from rendered_faces.cuts import NAMES

CLOTH_COLOURS = np.array(
    [[34, 38, 46], [58, 76, 112], [128, 40, 44], [222, 220, 214], [92, 98, 104], [60, 88, 70], [186, 150, 110],
     [96, 66, 96], [200, 120, 96], [150, 178, 196]]
)  # fmt: skip
FRAME_COLOURS = np.array([[24, 22, 22], [70, 44, 28], [120, 120, 124], [150, 118, 60], [60, 24, 28], [40, 50, 80]])
WOMEN = {
    "long straight": 3, "long wavy": 3, "bob": 2, "bob with fringe": 2, "curly": 2, "ponytail": 2, "fringe": 0.7,
    "side part": 0.7, "crop": 0.5,
}  # fmt: skip
MEN = {
    "crop": 3, "side part": 3, "buzz": 2, "swept back": 2, "fringe": 1.5, "horseshoe": 1.2, "curly": 0.7,
    "long wavy": 0.4, "ponytail": 0.3,
}  # fmt: skip
COILED_WOMEN = {"afro": 3, "tight curls": 1.5, "curly": 2, "ponytail": 1.5, "buzz": 0.5, "long wavy": 0.7}
COILED_MEN = {"tight curls": 3, "buzz": 3, "afro": 1, "horseshoe": 0.7}


def haircut(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float]:
    """A random haircut: its index in `cuts.NAMES`, and lengths in metres on the template head."""
    woman, coiled = phenotype["gender"] < 0.5, rng.random() < 1.6 * phenotype["african"] - 0.3
    usual = (COILED_WOMEN if woman else COILED_MEN) if coiled else (WOMEN if woman else MEN)
    share = np.array(list(usual.values()), float)
    cut = str(rng.choice(list(usual), p=share / share.sum()))
    high = cut not in ("fringe", "bob with fringe")
    return {
        "cut": float(NAMES.index(cut)),
        "bald": float(cut == "horseshoe"),
        "length": float(rng.uniform(0.8, 1.25)),
        "hairline": float(rng.uniform(0.760, 0.780) if high else rng.uniform(0.772, 0.788)),
        "peak": float(rng.uniform(-0.006, 0.008)),
        "side": float(rng.uniform(-0.012, 0.006)),
    }


# Density overall, on the cheeks, on the chin and above the lip; length in metres; darkness of the skin below.
BEARD = ("beard", "beard_cheeks", "beard_chin", "beard_lip", "beard_length", "beard_shade")
BEARDS = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.001, 0.0),
    "stubble": (0.55, 0.8, 1.0, 0.9, 0.0022, 0.4),
    "moustache": (1.0, 0.0, 0.0, 1.0, 0.008, 0.6),
    "goatee": (1.0, 0.06, 1.0, 0.9, 0.008, 0.65),
    "full": (1.0, 1.0, 1.0, 0.9, 0.012, 0.75),
}


def facial_hair(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float]:
    """Random beard, brows and lashes; lengths in metres on the template head."""
    woman = phenotype["gender"] < 0.5
    kind = "none" if woman else str(rng.choice(list(BEARDS), p=[0.34, 0.26, 0.08, 0.12, 0.2]))
    return {
        **dict(zip(BEARD, BEARDS[kind], strict=True)),
        "beard_top": float(rng.uniform(0.655, 0.672)),
        "brow_width": float(rng.uniform(0.0018, 0.0028) if woman else rng.uniform(0.003, 0.0052)),
        "brow_arch": float(rng.uniform(0.001, 0.0055)),
        "brow_height": float(rng.uniform(0.7415, 0.7445)),
        "brow_density": float(rng.uniform(0.65, 1.0)),
        "liner": float(rng.uniform(0.3, 1.0) if woman and rng.random() < 0.6 else 0.0),
        "lashes": float(rng.uniform(0.8, 1.25) if woman else rng.uniform(0.45, 0.7)),
    }


def clothes(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float | np.ndarray]:
    """Random clothing colours, head covering (see `wear`) and glasses; lens heights relative to the eyes' distance."""
    woman = phenotype["gender"] < 0.5
    # Nothing, hijab, beanie, turban, cap.
    cover = rng.choice(5, p=[0.80, 0.11, 0.06, 0.0, 0.03] if woman else [0.80, 0.0, 0.08, 0.05, 0.07])
    return {
        "cloth_colour": linear(CLOTH_COLOURS[rng.integers(len(CLOTH_COLOURS))] * rng.uniform(0.8, 1.1)),
        "cover": float(cover),
        "cover_colour": linear(CLOTH_COLOURS[rng.integers(len(CLOTH_COLOURS))] * rng.uniform(0.7, 1.0)),
        "glasses": float(rng.random() < 0.12),
        "frame_colour": linear(FRAME_COLOURS[rng.integers(len(FRAME_COLOURS))]),
        "frame_rim": float(rng.choice([0.0016, 0.0022, 0.003])),
        "lens_height": float(rng.uniform(0.23, 0.33)),
        "frame_square": float(rng.uniform(2.0, 4.0)),
    }
