"""Head shapes: ancestry, age and gender, and local changes by their names in the head model."""

from __future__ import annotations

import numpy as np

PAIRED_SHAPES = {
    "cheek-volume-incr": 0.4, "cheek-inner-incr": 0.3, "cheek-bones-incr": 0.4, "cheek-trans-up": 0.3,
    "ear-scale-incr": 0.3, "ear-wing-incr": 0.3, "ear-lobe-incr": 0.4, "ear-trans-up": 0.2,
    "eye-corner1-up": 0.35, "eye-corner2-up": 0.4, "eye-height1-incr": 0.15, "eye-height2-incr": 0.18,
    "eye-height3-incr": 0.15, "eye-scale-incr": 0.25, "eye-eyefold-up": 0.2, "eye-eyefold-angle-up": 0.2,
    "eye-bag-incr": 0.35, "eye-bag-out": 0.3, "eye-trans-out": 0.3, "eye-trans-up": 0.2, "eye-push1-out": 0.2,
}  # fmt: skip
SINGLE_SHAPES = {
    "chin-height-incr": 0.35, "chin-prominent-incr": 0.35, "chin-bones-incr": 0.35, "chin-width-incr": 0.4,
    "chin-cleft-incr": 0.3, "chin-jaw-drop-incr": 0.3, "eyebrows-angle-up": 0.3, "eyebrows-trans-up": 0.3,
    "eyebrows-trans-forward": 0.3, "forehead-temple-incr": 0.3, "forehead-trans-forward": 0.25,
    "forehead-nubian-incr": 0.25, "head-fat-incr": 0.35, "head-scale-horiz-incr": 0.25,
    "head-scale-vert-incr": 0.25, "mouth-lowerlip-height-incr": 0.35, "mouth-lowerlip-volume-incr": 0.35,
    "mouth-upperlip-height-incr": 0.35, "mouth-upperlip-volume-incr": 0.35, "mouth-cupidsbow-incr": 0.4,
    "mouth-scale-horiz-incr": 0.35, "mouth-angles-up": 0.25, "mouth-trans-up": 0.25,
    "mouth-laugh-lines-out": 0.3, "mouth-philtrum-volume-incr": 0.3, "mouth-trans-out": 0.06,
    "neck-double-incr": 0.2, "nose-curve-convex": 0.35, "nose-flaring-incr": 0.35, "nose-hump-incr": 0.35,
    "nose-greek-incr": 0.25, "nose-point-up": 0.35, "nose-point-width-incr": 0.35, "nose-base-up": 0.3,
    "nose-scale-horiz-incr": 0.35, "nose-scale-vert-incr": 0.3, "nose-scale-depth-incr": 0.3,
    "nose-nostrils-width-incr": 0.3, "nose-trans-out": 0.06, "nose-volume-incr": 0.3, "nose-width1-incr": 0.3,
    "nose-width2-incr": 0.3, "nose-width3-incr": 0.3,
}  # fmt: skip
# Average changes of women, as fractions of a full change. Men have the opposite.
FEMININE = {
    "chin-width-incr": -0.35, "chin-prominent-incr": -0.15, "chin-bones-incr": -0.3, "chin-height-incr": -0.2,
    "mouth-lowerlip-volume-incr": 0.2, "mouth-upperlip-volume-incr": 0.3, "mouth-cupidsbow-incr": 0.2,
    "nose-scale-horiz-incr": -0.3, "nose-volume-incr": -0.3, "nose-width2-incr": -0.2, "nose-width3-incr": -0.25,
    "nose-flaring-incr": -0.2, "nose-point-width-incr": -0.25, "nose-point-up": 0.2, "nose-hump-incr": -0.2,
    "eyebrows-trans-up": 0.2, "eyebrows-trans-forward": -0.3, "forehead-nubian-incr": 0.1, "head-fat-incr": -0.1,
    "nose-scale-depth-incr": -0.15, "mouth-scale-horiz-incr": -0.15,
}  # fmt: skip
OPEN = ("eye-scale-incr", "eye-height2-incr")  # the average eyes are rather small
FEMININE_PAIRED = {"eye-scale-incr": 0.25, "cheek-bones-incr": 0.15, "eye-height2-incr": 0.12, "ear-scale-incr": -0.2}


def phenotype(rng: np.random.Generator) -> dict[str, float]:
    """Whole-body properties in [0, 1]; gender is 0 for women and 1 for men."""
    ancestry = rng.dirichlet([0.35, 0.35, 0.35])
    return {
        "gender": float(np.clip(rng.choice([0.0, 0.95]) + rng.normal(0, 0.05), 0, 1)),
        # 2/3 is a young adult and 1 the oldest person of the body model.
        "age": float(rng.uniform(0.655, 0.98)),
        "muscle": float(rng.uniform(0.3, 0.75)),
        "weight": float(np.clip(rng.normal(0.48, 0.16), 0.15, 0.9)),
        "african": float(ancestry[0]),
        "asian": float(ancestry[1]),
        "caucasian": float(ancestry[2]),
    }


def shape(rng: np.random.Generator, feminine: float) -> dict[str, float]:
    """Local changes of the head's shape; `feminine` is 1 for women and -1 for men."""
    shape = {name: rng.normal(0, 0.85 * std) for name, std in SINGLE_SHAPES.items()}
    for name, change in FEMININE.items():
        shape[name] += 0.8 * feminine * change
    shape["mouth-scale-horiz-incr"] += 0.3
    shape["mouth-angles-up"] += 0.15
    for name, std in PAIRED_SHAPES.items():
        both, uneven = rng.normal(0, 0.85 * std), rng.normal(0, 0.06)
        both += 0.8 * feminine * FEMININE_PAIRED.get(name, 0.0) + (0.15 if name in OPEN else 0.0)
        shape["l-" + name], shape["r-" + name] = both + uneven, both - uneven
    return {name: float(np.clip(value, -0.9, 0.9)) for name, value in shape.items()}
