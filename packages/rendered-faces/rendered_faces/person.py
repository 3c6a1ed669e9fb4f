"""Draw a person: head shape, colours, hair, and how this person makes each expression.

Person k of a seed depends on (seed, k) alone, so a set can be extended or rendered in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rendered_faces import anatomy, expressions
from rendered_faces.colours import linear
from rendered_faces.expressions import Manner
from rendered_faces.grooming import clothes, facial_hair, haircut

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
GREY_HAIR = np.array([158, 155, 150])

Look = dict[str, Any]
"""Numbers and linear colours, (3,), by their names in `grooming` and here."""


@dataclass(frozen=True)
class Person:
    """Everything that stays the same in all images of one person."""

    index: int
    phenotype: dict[str, float]
    shape: dict[str, float]
    look: Look
    manners: dict[str, Manner]
    noise_seed: int

    def wearing(self, hair: Mapping[str, float]) -> Person:
        """The same person with some entries of the look replaced."""
        return replace(self, look={**self.look, **hair})


def _along(palette: np.ndarray, position: float) -> np.ndarray:
    """Colour at a position from 0 (start) to 1 (end) of a palette, in linear light."""
    table, x = linear(palette), position * (len(palette) - 1)
    return np.array([np.interp(x, np.arange(len(palette)), table[:, c]) for c in range(3)])


def _colours(rng: np.random.Generator, phenotype: dict[str, float]) -> Look:
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
        stick = linear(np.array([[168, 40, 52], [150, 52, 66], [176, 84, 84]])[rng.integers(3)])
        lip = 0.45 * lip + 0.55 * stick * np.clip(skin.mean() / 0.25, 0.4, 1)
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


def draw(seed: int, index: int) -> Person:
    """Person `index` of a seed."""
    rng = np.random.default_rng([seed, index])
    phenotype = anatomy.phenotype(rng)
    shape = anatomy.shape(rng, 1.0 if phenotype["gender"] < 0.5 else -1.0)
    look = {
        **_colours(rng, phenotype),
        **haircut(rng, phenotype),
        **facial_hair(rng, phenotype),
        **clothes(rng, phenotype),
    }
    return Person(index, phenotype, shape, look, expressions.draw(seed, index), int(rng.integers(2**31)))


def another_haircut(person: Person, rng: np.random.Generator) -> dict[str, float]:
    """Hair for another day, for `Person.wearing`. Bald people stay bald, and nobody turns bald."""
    if person.look["bald"]:
        return {}
    while (hair := haircut(rng, person.phenotype))["bald"]:
        pass
    return hair
