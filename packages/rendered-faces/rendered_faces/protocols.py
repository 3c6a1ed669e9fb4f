"""Who is taken where with which expressions: the paper's four data sets (Sec. IV-A), what ships, and the judges'.

Each function gives the sittings of a set; what the paper says is a default. A sitting is one person in one
scene; its pictures differ in the expression alone. People are split, so nobody is in both train and test, and
people of different protocols or seeds are different people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np

from aggan.errors import UserError

from . import person, stages
from .expressions import EXPRESSIONS
from .scene import Scene

CAMERAS = (45, 90, 135)
GAZES = {"left": 30.0, "frontal": 0.0, "right": -30.0}
"""Direction of the gaze, to the person's own sides, and its angle from straight ahead."""
ARFACE = ("neutral", "happy", "angry", "fearful")
BU3DFE = EXPRESSIONS[:-1]
TEST_SHARE = 0.2
"""Share of the people who are only tested on, where the paper says nothing."""


@dataclass(frozen=True)
class Sitting:
    """One person before one camera."""

    person: int
    name: str
    split: str
    expressions: tuple[str, ...]
    scene: Scene
    details: dict[str, int | str] = field(default_factory=dict)
    answers: tuple[str, ...] = ()
    """Expressions that are kept apart: systems that learn without pairs must not see them."""


def population(protocol: str, seed: int) -> int:
    """The seed from which a protocol's people are drawn."""
    return int.from_bytes(hashlib.sha256(f"{protocol} {seed}".encode()).digest()[:6], "big")


def split(people: int, seed: int, test_share: float) -> list[str]:
    """The split of each person; at least one is trained on, and one tested on."""
    if people < 2:
        raise UserError(f"{people} people cannot be split: training and testing need one each, so give --people 2")
    test = min(max(1, round(test_share * people)), people - 1)
    held_out = set(np.random.default_rng(seed).permutation(people)[:test].tolist())
    return ["test" if index in held_out else "train" for index in range(people)]


def _rng(seed: int, index: int, *which: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, 2, *which])


def rafd(seed: int, people: int = 67, expressions: tuple[str, ...] = EXPRESSIONS) -> list[Sitting]:
    """RaFD: 67 people, 8 expressions, 3 gazes and 3 camera angles (90 is frontal) are 4,824 pictures."""
    drawn_from, splits = population("rafd", seed), split(people, seed, TEST_SHARE)
    return [
        Sitting(
            index,
            f"{index:04d}_{camera:03d}_{gaze}",
            splits[index],
            expressions,
            stages.studio(_rng(drawn_from, index), camera - 90.0, GAZES[gaze]),
            {"gaze": gaze, "camera": camera},
        )
        for index, camera, gaze in product(range(people), CAMERAS, GAZES)
    ]


def arface(
    seed: int, people: int = 136, share: float = 1018 / 136, glasses: float = 0.25, scarf: float = 0.15
) -> list[Sitting]:
    """AR Face: 1,018 pictures of 136 people with 4 expressions; most come again, with other hair and light.

    `share` is pictures a person (8 if all came twice); glasses and a scarf are chances for each visit.
    """
    drawn_from, splits = population("arface", seed), split(people, seed, TEST_SHARE)
    left, sittings = round(share * people), []
    for number, index in product((1, 2), range(people)):
        expressions, rng = ARFACE[:left], _rng(drawn_from, index, number)
        left -= len(expressions)
        hair = person.another_haircut(person.draw(drawn_from, index), rng) if number == 2 else {}
        scene, name = stages.visit(rng, hair, glasses, scarf), f"{index:04d}_{number}"
        sittings.append(Sitting(index, name, splits[index], expressions, scene, {"visit": number}))
    return [sitting for sitting in sittings if sitting.expressions]


def bu3dfe(seed: int, people: int = 100, expressions: tuple[str, ...] = BU3DFE) -> list[Sitting]:
    """BU-3DFE: 100 people with 7 expressions, frontal, on black."""
    drawn_from, splits = population("bu3dfe", seed), split(people, seed, TEST_SHARE)
    return [
        Sitting(index, f"{index:04d}", splits[index], expressions, stages.scan(_rng(drawn_from, index)))
        for index in range(people)
    ]


def celeba(seed: int, people: int = 4000) -> list[Sitting]:
    """CelebA: 1,000 neutral and 1,000 smiling people to train on, as many others to test on, in the wild."""
    if people < 4:
        raise UserError(f"{people} people cannot be neutral and smiling, to train and to test: give --people 4")
    drawn_from, parts = population("celeba", seed), tuple(product(("train", "test"), ("neutral", "happy")))
    other = {"neutral": ("happy",), "happy": ("neutral",)}
    sittings = []
    for index in range(people):
        part, expression = parts[index * len(parts) // people]
        answers = other[expression] if part == "test" else ()
        scene = stages.wild(_rng(drawn_from, index))
        sittings.append(Sitting(index, f"{index:04d}", part, (expression,), scene, answers=answers))
    return sittings


def faces(seed: int, people: int = 580, test_share: float = 100 / 580) -> list[Sitting]:
    """What ships: test people show all expressions; the others neutral or happy, and one of the other six.

    The answers are the happy pictures of the neutral and the neutral ones of the happy, for systems that learn
    from pairs.
    """
    drawn_from, splits, rest = population("faces", seed), split(people, seed, test_share), EXPRESSIONS[2:]
    trained, sittings = 0, []
    for index in range(people):
        expressions, answers = EXPRESSIONS, ()
        if splits[index] == "train":
            first, second = EXPRESSIONS[trained % 2], EXPRESSIONS[1 - trained % 2]
            expressions, answers = (first, rest[trained // 2 % len(rest)]), (second,)
            trained += 1
        scene = stages.portrait(_rng(drawn_from, index))
        sittings.append(Sitting(index, f"{index:04d}", splits[index], expressions, scene, answers=answers))
    return sittings


def judges(seed: int, people: int = 320, second: int = 4) -> list[Sitting]:
    """What the judges learned from: everybody comes twice, with other hair, elsewhere.

    All expressions are shown at the first visit, `second` of them, drawn, at the other.
    """
    drawn_from, splits, sittings = population("judges", seed), split(people, seed, TEST_SHARE), []
    for index, number in product(range(people), (1, 2)):
        rng, expressions, hair = _rng(drawn_from, index, number), EXPRESSIONS, {}
        if number == 2:
            expressions = tuple(rng.permutation(EXPRESSIONS)[:second].tolist())
            hair = person.another_haircut(person.draw(drawn_from, index), rng)
        name, scene = f"{index:04d}_{number}", stages.anywhere(rng, hair)
        sittings.append(Sitting(index, name, splits[index], expressions, scene, {"visit": number}))
    return sittings


PROTOCOLS: dict[str, Callable[..., list[Sitting]]] = {
    "rafd": rafd, "arface": arface, "bu3dfe": bu3dfe, "celeba": celeba, "faces": faces, "judges": judges,
}  # fmt: skip


def plan(protocol: str, seed: int, people: int | None) -> list[Sitting]:
    """The sittings of a protocol, with the paper's number of people unless another is given."""
    make = partial(PROTOCOLS[protocol], seed)
    return make() if people is None else make(people)
