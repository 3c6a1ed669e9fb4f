"""The protocols: who is rendered where, with which expressions.

Four follow the paper's data sets (Sec. IV-A), with the paper's numbers as defaults. The others are the sample faces
that ship with `aggan` and the faces that its classifiers learned from. Each protocol is a function that returns the
sittings of a set. A sitting is one person in one scene, so its images differ in the expression alone. People are
split: nobody is in both train and test. Other protocols and other seeds have other people.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np
from aggan.errors import UserError

from rendered_faces import person, stages
from rendered_faces.expressions import EXPRESSIONS
from rendered_faces.scene import Scene

CAMERAS = (45, 90, 135)
"""Camera angles in degrees; 90 is frontal."""
GAZES = {"left": 30.0, "frontal": 0.0, "right": -30.0}
"""Directions of the gaze as seen by the person, and their angles in degrees from straight ahead."""
ARFACE = ("neutral", "happy", "angry", "fearful")
BU3DFE = EXPRESSIONS[:-1]
TEST_SHARE = 0.2
"""Share of the people in the test set, if the paper does not give it."""
FORMER_NAMES = {"classifiers": "judges"}
"""Earlier names of protocols. Their people are still drawn by the earlier name, so that they stay the same."""


@dataclass(frozen=True)
class Sitting:
    """One person in front of one camera."""

    person: int
    name: str
    split: str
    expressions: tuple[str, ...]
    scene: Scene
    details: dict[str, int | str] = field(default_factory=dict)
    ground_truth: tuple[str, ...] = ()
    """Expressions that are kept apart, because methods that learn without pairs must not see them."""


def population(protocol: str, seed: int) -> int:
    """The seed from which the people of a protocol are drawn."""
    name = FORMER_NAMES.get(protocol, protocol)
    return int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:6], "big")


def split(people: int, seed: int, test_share: float) -> list[str]:
    """The split of each person, at least one in each; raises `UserError` if there are fewer than two people."""
    if people < 2:
        raise UserError(f"{people} people cannot be split: training and testing need one each, so give --people 2")
    test = min(max(1, round(test_share * people)), people - 1)
    test_people = set(np.random.default_rng(seed).permutation(people)[:test].tolist())
    return ["test" if index in test_people else "train" for index in range(people)]


def _rng(seed: int, index: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, 2, *stream])


def rafd(seed: int, people: int = 67, expressions: tuple[str, ...] = EXPRESSIONS) -> list[Sitting]:
    """RaFD: 67 people, 8 expressions, 3 gazes and 3 camera angles give 4,824 images."""
    people_seed, splits = population("rafd", seed), split(people, seed, TEST_SHARE)
    return [
        Sitting(
            index,
            f"{index:04d}_{camera:03d}_{gaze}",
            splits[index],
            expressions,
            stages.studio(_rng(people_seed, index), camera - 90.0, GAZES[gaze]),
            {"gaze": gaze, "camera": camera},
        )
        for index, camera, gaze in product(range(people), CAMERAS, GAZES)
    ]


def arface(
    seed: int, people: int = 136, share: float = 1018 / 136, glasses: float = 0.25, scarf: float = 0.15
) -> list[Sitting]:
    """AR Face: 1,018 images of 136 people with 4 expressions; most people come twice, with other hair and light.

    `share` is the number of images per person, 8 if everybody came twice. `glasses` and `scarf` are probabilities
    per visit.
    """
    people_seed, splits = population("arface", seed), split(people, seed, TEST_SHARE)
    left, sittings = round(share * people), []
    for visit, index in product((1, 2), range(people)):
        expressions, rng = ARFACE[:left], _rng(people_seed, index, visit)
        left -= len(expressions)
        hair = person.another_haircut(person.draw(people_seed, index), rng) if visit == 2 else {}
        scene, name = stages.visit(rng, hair, glasses, scarf), f"{index:04d}_{visit}"
        sittings.append(Sitting(index, name, splits[index], expressions, scene, {"visit": visit}))
    return [sitting for sitting in sittings if sitting.expressions]


def bu3dfe(seed: int, people: int = 100, expressions: tuple[str, ...] = BU3DFE) -> list[Sitting]:
    """BU-3DFE: 100 people with 7 expressions, frontal, on black."""
    people_seed, splits = population("bu3dfe", seed), split(people, seed, TEST_SHARE)
    return [
        Sitting(index, f"{index:04d}", splits[index], expressions, stages.scan(_rng(people_seed, index)))
        for index in range(people)
    ]


def celeba(seed: int, people: int = 4000) -> list[Sitting]:
    """CelebA: 1,000 neutral and 1,000 smiling people for training and as many others for testing, in the wild.

    The ground truth of a test image is the same person with the other expression.
    """
    if people < 4:
        raise UserError(f"{people} people cannot be neutral and smiling, to train and to test: give --people 4")
    people_seed, parts = population("celeba", seed), tuple(product(("train", "test"), ("neutral", "happy")))
    other = {"neutral": ("happy",), "happy": ("neutral",)}
    sittings = []
    for index in range(people):
        part, expression = parts[index * len(parts) // people]
        ground_truth = other[expression] if part == "test" else ()
        scene = stages.wild(_rng(people_seed, index))
        sittings.append(Sitting(index, f"{index:04d}", part, (expression,), scene, ground_truth=ground_truth))
    return sittings


def faces(seed: int, people: int = 580, test_share: float = 100 / 580) -> list[Sitting]:
    """The sample faces: test people show all expressions, training people neutral or happy and one of the other six.

    The ground truth is the happy image of a neutral training person and the neutral image of a happy one, for
    methods that learn from pairs.
    """
    people_seed, splits, others = population("faces", seed), split(people, seed, test_share), EXPRESSIONS[2:]
    trained, sittings = 0, []
    for index in range(people):
        expressions, ground_truth = EXPRESSIONS, ()
        if splits[index] == "train":
            first, second = EXPRESSIONS[trained % 2], EXPRESSIONS[1 - trained % 2]
            expressions, ground_truth = (first, others[trained // 2 % len(others)]), (second,)
            trained += 1
        scene = stages.portrait(_rng(people_seed, index))
        sittings.append(Sitting(index, f"{index:04d}", splits[index], expressions, scene, ground_truth=ground_truth))
    return sittings


def classifiers(seed: int, people: int = 320, second: int = 4) -> list[Sitting]:
    """Faces for training classifiers: everybody comes twice, with other hair and to another place.

    The first visit shows all expressions, the second visit `second` random ones.
    """
    people_seed, splits, sittings = population("classifiers", seed), split(people, seed, TEST_SHARE), []
    for index, visit in product(range(people), (1, 2)):
        rng, expressions, hair = _rng(people_seed, index, visit), EXPRESSIONS, {}
        if visit == 2:
            expressions = tuple(rng.permutation(EXPRESSIONS)[:second].tolist())
            hair = person.another_haircut(person.draw(people_seed, index), rng)
        name, scene = f"{index:04d}_{visit}", stages.anywhere(rng, hair)
        sittings.append(Sitting(index, name, splits[index], expressions, scene, {"visit": visit}))
    return sittings


PROTOCOLS: dict[str, Callable[..., list[Sitting]]] = {
    "rafd": rafd, "arface": arface, "bu3dfe": bu3dfe, "celeba": celeba, "faces": faces, "classifiers": classifiers,
}  # fmt: skip


def plan(protocol: str, seed: int, people: int | None) -> list[Sitting]:
    """The sittings of a protocol; `people` defaults to the protocol's own number.

    Raises `UserError` if there are too few people for its splits.
    """
    make = partial(PROTOCOLS[protocol], seed)
    return make() if people is None else make(people)
