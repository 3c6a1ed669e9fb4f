"""The eight expressions of RaFD as facial actions, with differences between people.

A facial action is one of 52 movements with a value in [0, 1], named as in ARKit's face tracking
(`mouthSmileLeft`, `browInnerUp`, ...). The actions of an expression follow the prototypes of the Facial Action
Coding System (Ekman, Friesen and Hager, 2002) with which RaFD's models were coached (Langner et al., "Presentation
and validation of the Radboud Faces Database", 2010). Their amounts were tuned by eye.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from aggan.data.expressions import EXPRESSIONS

ACTIONS = tuple(
    """
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
    eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight
    mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft
    mouthPressRight mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper
    mouthSmileLeft mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight
    noseSneerLeft noseSneerRight tongueOut
    """.split()
)
"""All 52 facial actions in alphabetical order."""

Amounts = dict[str, tuple[float, float]]
Actions = dict[str, float]


@dataclass(frozen=True)
class Prototype:
    """The facial actions of an expression: the smallest and largest amount of each at full strength."""

    paired: Amounts
    """Actions with a left and a right side."""
    single: Amounts = field(default_factory=dict)
    one_sided: Amounts = field(default_factory=dict)
    """Actions on the side that a person prefers."""


PROTOTYPES = {
    "happy": Prototype(
        {
            "mouthSmile": (1.0, 1.0), "cheekSquint": (0.5, 0.9), "mouthUpperUp": (0.25, 0.6),
            "eyeSquint": (0.15, 0.5), "mouthDimple": (0.0, 0.4), "mouthLowerDown": (0.0, 0.25),
            "mouthStretch": (0.0, 0.2),
        },
        {"jawOpen": (0.06, 0.26)},
    ),
    "sad": Prototype(
        {
            "mouthFrown": (0.85, 1.0), "browDown": (0.0, 0.3), "eyeSquint": (0.1, 0.3), "eyeBlink": (0.0, 0.12),
        },
        {"browInnerUp": (0.9, 1.0), "mouthShrugLower": (0.5, 0.8), "mouthPucker": (0.0, 0.15)},
    ),
    "angry": Prototype(
        {
            "browDown": (0.95, 1.0), "noseSneer": (0.4, 0.65), "eyeSquint": (0.3, 0.5), "eyeWide": (0.0, 0.3),
            "mouthFrown": (0.25, 0.45),
        },
        {
            "mouthRollUpper": (0.4, 0.6), "mouthRollLower": (0.0, 0.3), "mouthShrugLower": (0.2, 0.45),
            "mouthPucker": (0.0, 0.3),
        },
    ),
    "fearful": Prototype(
        {
            "browOuterUp": (0.1, 0.4), "browDown": (0.2, 0.4), "eyeWide": (0.9, 1.0), "mouthStretch": (0.75, 1.0),
            "mouthLowerDown": (0.1, 0.5),
        },
        {"browInnerUp": (0.85, 1.0), "jawOpen": (0.15, 0.3)},
    ),
    "surprised": Prototype(
        {"browOuterUp": (0.9, 1.0), "eyeWide": (0.7, 1.0)},
        {"browInnerUp": (0.9, 1.0), "jawOpen": (0.5, 0.75), "mouthFunnel": (0.0, 0.25)},
    ),
    "disgusted": Prototype(
        {
            "noseSneer": (0.95, 1.0), "mouthUpperUp": (0.2, 0.7), "browDown": (0.4, 0.7),
            "cheekSquint": (0.5, 0.9), "eyeSquint": (0.4, 0.6), "mouthFrown": (0.2, 0.5),
            "mouthLowerDown": (0.0, 0.35),
        },
        {"mouthShrugUpper": (0.2, 0.7)},
    ),
    "contemptuous": Prototype(
        {},
        one_sided={
            "mouthSmile": (0.4, 0.6), "mouthDimple": (0.85, 1.0), "mouth": (0.1, 0.35),
            "eyeSquint": (0.0, 0.3), "browOuterUp": (0.0, 0.35),
        },
    ),
}  # fmt: skip
STRENGTH = (0.75, 1.0)
UNEVEN = 0.05
"""Standard deviation of half the difference between left and right, relative to the amount."""


@dataclass(frozen=True)
class Manner:
    """How one person makes one expression; a neutral face has strength 0."""

    strength: float
    actions: Actions


def draw(seed: int, index: int) -> dict[str, Manner]:
    """How person `index` of a seed makes each expression; each expression has its own random stream."""
    streams = {name: np.random.default_rng([seed, index, 1, k]) for k, name in enumerate(EXPRESSIONS)}
    neutral = Manner(0.0, _resting(streams.pop("neutral")))
    return {"neutral": neutral} | {name: _manner(PROTOTYPES[name], rng) for name, rng in streams.items()}


def _manner(prototype: Prototype, rng: np.random.Generator) -> Manner:
    strength, uneven = float(rng.uniform(*STRENGTH)), rng.normal(0, UNEVEN)
    actions = {name: rng.uniform(*amount) for name, amount in prototype.single.items()}
    for name, amount in prototype.paired.items():
        drawn = rng.uniform(*amount)
        actions[name + "Left"], actions[name + "Right"] = drawn * (1 + uneven), drawn * (1 - uneven)
    side = str(rng.choice(["Left", "Right"]))
    actions |= {name + side: rng.uniform(*amount) for name, amount in prototype.one_sided.items()}
    return Manner(strength, {name: float(np.clip(strength * value, 0, 1)) for name, value in actions.items()})


def _resting(rng: np.random.Generator) -> Actions:
    """A resting face; three in ten people have a slightly uneven mouth."""
    if rng.random() > 0.3:
        return {}
    name = rng.choice(["mouthDimpleLeft", "mouthDimpleRight", "mouthLeft", "mouthRight", "mouthPressLeft"])
    return {str(name): float(rng.uniform(0.08, 0.25))}
