"""Who is in a photograph: people by identity vectors, copies of a photograph, and one domain for each person."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from itertools import count
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

_ROWS = 512
"""Identity vectors that are compared with all others at a time."""
_COPY = 0.1
"""Copies have thumbnails whose normalised grey values differ by less in the mean: tried on portraits that were cropped,
reduced, brightened and compressed again."""

Label = TypeVar("Label", bound=Hashable)


def group_people(identities: Float[np.ndarray, "n d"], distance: float) -> Int[np.ndarray, " n"]:
    """A number for each image: images are of one person if a chain of vectors closer than `distance` joins them.

    Vectors have length 1. People are numbered from 0 in the order of their first image.
    """
    parents = list(range(len(identities)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    least = 1 - distance**2 / 2  # the cosine of two vectors at this distance
    for start in range(0, len(identities), _ROWS):
        cosines = identities[start : start + _ROWS] @ identities.T
        for row, column in np.argwhere(cosines > least).tolist():
            if start + row < column:
                first, second = sorted((root(start + row), root(column)))
                parents[second] = first
    numbers: defaultdict[int, int] = defaultdict(count().__next__)
    return np.array([numbers[root(index)] for index in range(len(identities))], int)


def find_copies(
    thumbnails: Float[np.ndarray, "n p"], groups: Sequence[Hashable], sides: Float[np.ndarray, " n"]
) -> dict[int, int]:
    """The images that copy another one, each with that one: of copies, the face with the largest side is the original.

    Only images of one group can be copies. Brightness and contrast do not matter.
    """
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    normalised = centred / np.maximum(centred.std(axis=1, keepdims=True), 1)
    originals: defaultdict[Hashable, list[int]] = defaultdict(list)
    copies = {}
    for index in np.argsort(-sides, kind="stable").tolist():
        others = originals[groups[index]]
        differences = (np.abs(normalised[index] - normalised[other]).mean() for other in others)
        near = [other for other, difference in zip(others, differences, strict=True) if difference < _COPY]
        if near:
            copies[index] = near[0]
        else:
            others.append(index)
    return copies


def choose_domains(people: Sequence[int], domains: Sequence[Label]) -> dict[int, Label]:
    """One domain for each person, given the person and the domain of each image.

    Those who are in several go to the domain that has fewest images so far.
    """
    images: defaultdict[int, Counter[Label]] = defaultdict(Counter)
    for person, domain in zip(people, domains, strict=True):
        images[person][domain] += 1
    totals = Counter(dict.fromkeys(domains, 0))
    chosen = {}
    for person, numbers in sorted(images.items(), key=lambda item: len(item[1])):
        chosen[person] = min(numbers, key=lambda domain: totals[domain])
        totals[chosen[person]] += numbers[chosen[person]]
    return chosen
