"""Draw a person: head shape, colours, hair, and how this person makes each expression.

Person k of a seed depends on (seed, k) alone, so a set can be extended or rendered in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from . import expressions
from .cuts import NAMES
from .expressions import Manner

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
# sRGB skin tones from pale to dark; a person's tone is a point on this line.
SKIN_TONES = np.array(
    [
        [236, 195, 176],
        [228, 181, 155],
        [211, 160, 130],
        [184, 132, 101],
        [146, 98, 72],
        [108, 70, 51],
        [78, 50, 38],
    ]
)
HAIR_COLOURS = np.array(
    [[24, 20, 19], [44, 31, 25], [74, 50, 36], [112, 77, 51], [164, 122, 76], [204, 170, 116], [130, 62, 34]]
)
EYE_COLOURS = np.array([[46, 28, 18], [76, 48, 28], [112, 92, 52], [84, 110, 84], [84, 122, 158], [110, 132, 146]])
CLOTH_COLOURS = np.array(
    [[34, 38, 46], [58, 76, 112], [128, 40, 44], [222, 220, 214], [92, 98, 104], [60, 88, 70], [186, 150, 110],
     [96, 66, 96], [200, 120, 96], [150, 178, 196]]
)  # fmt: skip
FRAME_COLOURS = np.array([[24, 22, 22], [70, 44, 28], [120, 120, 124], [150, 118, 60], [60, 24, 28], [40, 50, 80]])
GREY_HAIR = np.array([158, 155, 150])


@dataclass(frozen=True)
class Person:
    """Who it is: everything that stays the same in all pictures of one person."""

    index: int
    phenotype: dict[str, float]
    shape: dict[str, float]
    look: dict[str, float | np.ndarray]
    manners: dict[str, Manner]
    noise_seed: int

    def wearing(self, hair: Mapping[str, float]) -> Person:
        """The same person on a day when some entries of the look differ."""
        return replace(self, look={**self.look, **hair})


def linear(rgb: np.ndarray) -> np.ndarray:
    """8-bit sRGB to linear light."""
    return (np.asarray(rgb, float) / 255.0) ** 2.2


def _along(palette: np.ndarray, position: float) -> np.ndarray:
    """Colour at a position from 0 (start) to 1 (end) of a palette, in linear light."""
    table, x = linear(palette), position * (len(palette) - 1)
    return np.array([np.interp(x, np.arange(len(palette)), table[:, c]) for c in range(3)])


def _phenotype(rng: np.random.Generator) -> dict[str, float]:
    ancestry = rng.dirichlet([0.35, 0.35, 0.35])
    return {
        "gender": float(np.clip(rng.choice([0.0, 0.95]) + rng.normal(0, 0.05), 0, 1)),
        # 2/3 is a young adult and 1 the oldest person of the body model.
        "age": float(rng.uniform(0.655, 0.95)),
        "muscle": float(rng.uniform(0.3, 0.75)),
        "weight": float(np.clip(rng.normal(0.48, 0.16), 0.15, 0.9)),
        "african": float(ancestry[0]),
        "asian": float(ancestry[1]),
        "caucasian": float(ancestry[2]),
    }


# What women have on average, in shares of a full change; men have the opposite.
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


def _shape(rng: np.random.Generator, feminine: float) -> dict[str, float]:
    """Changes of the head's shape; `feminine` is 1 for women and -1 for men."""
    shape = {name: rng.normal(0, 0.85 * spread) for name, spread in SINGLE_SHAPES.items()}
    for name, change in FEMININE.items():
        shape[name] += 0.8 * feminine * change
    shape["mouth-scale-horiz-incr"] += 0.3
    shape["mouth-angles-up"] += 0.15
    for name, spread in PAIRED_SHAPES.items():
        both, uneven = rng.normal(0, 0.85 * spread), rng.normal(0, 0.06)
        both += 0.8 * feminine * FEMININE_PAIRED.get(name, 0.0) + (0.15 if name in OPEN else 0.0)
        shape["l-" + name], shape["r-" + name] = both + uneven, both - uneven
    return {name: float(np.clip(value, -0.9, 0.9)) for name, value in shape.items()}


def _colours(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float | np.ndarray]:
    pale = phenotype["caucasian"]
    usual = 0.92 * phenotype["african"] + 0.36 * phenotype["asian"] + 0.14 * pale
    dark = np.clip(usual + rng.normal(0, 0.09), 0, 1)
    years = (phenotype["age"] - 2 / 3) * 3
    fair = pale > 0.5 and rng.random() < 0.75
    hair = _along(HAIR_COLOURS[:6], rng.uniform(0.2, 1)) if fair else _along(HAIR_COLOURS, rng.uniform(0, 0.25))
    if fair and rng.random() < 0.1:
        hair = linear(HAIR_COLOURS[6])
    grey = np.clip((years - 0.5) * rng.uniform(0.5, 2.2), 0, 0.9)
    skin = _along(SKIN_TONES, float(dark)) * (1 + rng.normal(0, 0.04, 3))
    skin = skin + rng.uniform(0.02, 0.2) * (skin.mean() - skin)
    lip = skin * np.array([0.90, 0.60, 0.60]) + np.array([0.02, 0.0, 0.004])
    painted = 0.9 if phenotype["gender"] < 0.5 else 0.75
    if phenotype["gender"] < 0.5 and rng.random() < 0.45:
        lip = 0.45 * lip + 0.55 * linear(np.array([[168, 40, 52], [150, 52, 66], [176, 84, 84]])[rng.integers(3)])
    return {
        "dark": float(dark),
        "years": float(np.clip(years, 0, 1)),
        "skin": skin,
        "lip": lip,
        "hair": hair,
        "grey": float(grey),
        "grey_colour": linear(GREY_HAIR),
        "brow": hair * rng.uniform(0.35, 0.8) * (1 - 0.5 * grey) + 0.35 * grey * linear(GREY_HAIR),
        "iris": _along(EYE_COLOURS, rng.uniform(0, 1) if fair else rng.uniform(0, 0.25)),
        "freckles": float(rng.uniform(0.3, 1) if pale > 0.5 and rng.random() < 0.35 else 0),
        "flush": float(rng.uniform(0.2, 1)),
        "lip_cover": painted,
        "moles": float(rng.uniform(0, 1) if rng.random() < 0.5 else 0),
        "oil": float(rng.uniform(0, 1)),
    }


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
    """What a hairdresser can change: the cut's number in `cuts.NAMES`, and lengths in metres of the template head."""
    woman, coiled = phenotype["gender"] < 0.5, rng.random() < 1.6 * phenotype["african"] - 0.3
    usual = (COILED_WOMEN if woman else COILED_MEN) if coiled else (WOMEN if woman else MEN)
    share = np.array(list(usual.values()), float)
    cut = str(rng.choice(list(usual), p=share / share.sum()))
    high = cut not in ("fringe", "bob with fringe")
    return {
        "cut": float(NAMES.index(cut)),
        "bald": float(cut == "horseshoe"),
        "length": float(rng.uniform(0.8, 1.25)),
        "hairline": float(rng.uniform(0.772, 0.790) if high else rng.uniform(0.780, 0.795)),
        "peak": float(rng.uniform(-0.006, 0.008)),
        "side": float(rng.uniform(-0.012, 0.006)),
    }


# How much grows at all, on the cheeks, on the chin and above the lip, how long (metres), and how dark it looks below.
BEARD = ("beard", "beard_cheeks", "beard_chin", "beard_lip", "beard_length", "beard_shade")
BEARDS = {
    "none": (0.0, 0.0, 0.0, 0.0, 0.001, 0.0),
    "stubble": (0.55, 0.8, 1.0, 0.9, 0.0022, 0.4),
    "moustache": (1.0, 0.0, 0.0, 1.0, 0.008, 0.6),
    "goatee": (1.0, 0.06, 1.0, 0.9, 0.008, 0.65),
    "full": (1.0, 1.0, 1.0, 0.9, 0.012, 0.75),
}


def _facial_hair(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float]:
    """Beard, brows and lashes: lengths in metres of the template head."""
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


def _clothes(rng: np.random.Generator, phenotype: dict[str, float]) -> dict[str, float | np.ndarray]:
    """Colours of clothing, what is on the head (`wear`), and glasses; heights of lenses in distances of the eyes."""
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


def draw(seed: int, index: int) -> Person:
    """Person `index` of a seed."""
    rng = np.random.default_rng([seed, index])
    phenotype = _phenotype(rng)
    shape = _shape(rng, 1.0 if phenotype["gender"] < 0.5 else -1.0)
    look = {
        **_colours(rng, phenotype),
        **haircut(rng, phenotype),
        **_facial_hair(rng, phenotype),
        **_clothes(rng, phenotype),
    }
    return Person(index, phenotype, shape, look, expressions.draw(seed, index), int(rng.integers(2**31)))


def another_haircut(person: Person, rng: np.random.Generator) -> dict[str, float]:
    """Hair for another day, for `Person.wearing`; who is bald stays so, and nobody grows bald."""
    if person.look["bald"]:
        return {}
    while (hair := haircut(rng, person.phenotype))["bald"]:
        pass
    return hair
