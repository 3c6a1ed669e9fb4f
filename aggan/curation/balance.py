"""Balance: images are left out until the domains differ in the expression only, as far as the features can tell.

    n, f    images and features
    k       domains

The difference of two domains in a feature is the standardised mean difference: the difference of the means over the
root of the mean of the domains' variances, both before anything is left out. Below 0.1 it is commonly called negligible
(Austin, Statistics in Medicine 28, 2009). The subset is chosen greedily; choosing one exactly is cardinality matching
(Zubizarreta, Paredes and Rosenbaum, Annals of Applied Statistics 8, 2014).
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from aggan.curation.choose import BALANCE, Choice, LeftOut, Photograph
from aggan.curation.settings import SortSettings

DIRECTIONS = 24
"""Main directions of the identity vectors that are compared (our choice)."""
_LEAST_SOURCE, _MAX_SOURCES = 0.02, 20
"""Folders with a smaller share of the images are not compared, nor more folders than this."""
_PRESSURE = 0.5
"""Differences below this share of the limit do not count in the choice of what is left out."""
_BATCHES = 2000
"""Large sets lose one image in this number at a time."""


_STANDARD_ERRORS = 2
"""Differences below this number of standard errors are chance: leaving images out for them would be a waste."""
_WORDS = {0.1: "negligible", 0.5: "small", 0.8: "medium", math.inf: "large"}
"""Names of differences below these numbers (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988)."""


class Feature(NamedTuple):
    """A feature and the largest difference of two domains in it, in standard deviations."""

    name: str
    before: float
    after: float

    @property
    def words(self) -> str:
        """The differences before and after, in words."""
        before, after = (
            next(_WORDS[limit] for limit in _WORDS if value < limit) for value in (self.before, self.after)
        )
        return before if before == after else f"{before}, now {after}"


class Balanced(NamedTuple):
    """The choice and what it did."""

    choice: Choice
    features: list[Feature]
    """The directions of the identity vectors are two of them: the largest and the mean."""
    limit: float
    """What no difference exceeds, if the limits of what may be left out allow it."""


def leave_out_for_balance(photographs: Sequence[Photograph], settings: SortSettings) -> Balanced:
    """Leave out images until no difference exceeds `settings.balance` or chance, or no more may be left out."""
    names, values = features_of(photographs)
    domains, labels = np.unique([photograph.domain for photograph in photographs], return_inverse=True)
    values = values / _deviations(values, labels, len(domains))
    smallest = np.sort(np.bincount(labels))[:2]
    limit = max(settings.balance, _STANDARD_ERRORS * math.sqrt((1 / smallest).sum()))
    kept = choose_subset(values, labels, limit, settings.keep)
    before, after = _largest(values, labels), _largest(values[kept], labels[kept])
    left_out = [
        LeftOut(photograph.measurement.file, BALANCE, photograph.domain)
        for photograph, stays in zip(photographs, kept, strict=True)
        if not stays
    ]
    choice = Choice([each for each, stays in zip(photographs, kept, strict=True) if stays], left_out)
    return Balanced(choice, _summarise(names, before, after), limit)


def _summarise(names: Sequence[str], before: np.ndarray, after: np.ndarray) -> list[Feature]:
    named = [Feature(*row) for row in zip(names, before.tolist(), after.tolist(), strict=False)]
    directions = slice(len(names), None)
    title = f"identity (age, sex, looks) along {len(before) - len(names)} directions"
    return [
        *named,
        Feature(f"{title}, the largest", float(before[directions].max()), float(after[directions].max())),
        Feature(f"{title}, the mean", float(before[directions].mean()), float(after[directions].mean())),
    ]


def features_of(photographs: Sequence[Photograph]) -> tuple[list[str], Float[np.ndarray, "n f"]]:
    """The features by which domains are compared: those with names, then the directions of the identity vectors."""
    faces = [photograph.measurement for photograph in photographs]
    columns: dict[str, Sequence[float]] = {}
    sources = Counter(photograph.source for photograph in photographs)
    for source, number in sources.most_common(_MAX_SOURCES):
        if len(sources) > 1 and number >= _LEAST_SOURCE * len(photographs):
            columns[f"folder {source}"] = [float(photograph.source == source) for photograph in photographs]
    for name in faces[0].appearance:
        columns[name] = [face.appearance[name] for face in faces]
    columns["sharpness"] = [face.sharpness[-1] for face in faces]
    columns["size of the face in the photograph"] = [math.log(face.side) for face in faces]
    columns["turned to the left or right"] = [face.turn for face in faces]
    columns["turned away"] = [abs(face.turn) for face in faces]
    columns["nodding"] = [face.nod for face in faces]
    identities = np.array([face.identity for face in faces])
    directions = np.linalg.svd(identities - identities.mean(axis=0), full_matrices=False)[2][:DIRECTIONS]
    return list(columns), np.column_stack([*columns.values(), identities @ directions.T])


def choose_subset(
    values: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], limit: float, keep: float
) -> Bool[np.ndarray, " n"]:
    """Which images stay so that no two domains' means differ by more than `limit` in any feature.

    Each domain keeps at least the share `keep` of the smallest domain's images. Values are in standard deviations.
    """
    kept, numbers = np.ones(len(labels), bool), np.bincount(labels)
    least = max(2, np.ceil(keep * numbers.min()))
    while _largest(values[kept], labels[kept]).max(initial=0) > limit:
        gains = np.full(len(labels), -np.inf)
        for domain in np.flatnonzero(numbers > least):
            images = np.flatnonzero(kept & (labels == domain))
            gains[images] = _gains(values, labels, kept, images, limit)
        count = max(1, kept.sum() // _BATCHES)
        chosen = np.argsort(-gains, kind="stable")[:count]
        chosen = chosen[gains[chosen] > 0]
        if not len(chosen):
            break
        kept[chosen] = False
        numbers = np.bincount(labels[kept], minlength=len(numbers))
    return kept


def _gains(
    values: Float[np.ndarray, "n f"],
    labels: Int[np.ndarray, " n"],
    kept: Bool[np.ndarray, " n"],
    images: Int[np.ndarray, " m"],
    limit: float,
) -> Float[np.ndarray, " m"]:
    """How much smaller the differences become without each of some images of one domain.

    A gain is multiplied by the square of the domain's size: larger domains lose images first.
    """
    domain, number = labels[images[0]], len(images)
    mean = values[images].mean(axis=0)
    without = mean + (mean - values[images]) / (number - 1)
    gains = np.zeros(number)
    for other in np.unique(labels):
        if other != domain:
            other_mean = values[kept & (labels == other)].mean(axis=0)
            gains += _excess((mean - other_mean)[None], limit) - _excess(without - other_mean, limit)
    return gains * number**2


def _excess(differences: Float[np.ndarray, "m f"], limit: float) -> Float[np.ndarray, " m"]:
    return (np.maximum(np.abs(differences) - _PRESSURE * limit, 0) ** 2).sum(axis=1)


def _deviations(values: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"], k: int) -> Float[np.ndarray, " f"]:
    variances = np.mean([values[labels == domain].var(axis=0) for domain in range(k)], axis=0)
    return np.where(variances > 0, np.sqrt(variances), 1)


def _largest(values: Float[np.ndarray, "n f"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " f"]:
    """The largest difference of two domains' means in each feature."""
    means = np.stack([values[labels == domain].mean(axis=0) for domain in np.unique(labels)])
    return np.abs([a - b for a, b in combinations(means, 2)]).max(axis=0)
