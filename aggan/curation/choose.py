"""What is left out of a set, and why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from aggan.curation.measure import SHARPNESS_SIDES, Measurement
from aggan.curation.people import choose_domains, find_copies, group_people
from aggan.curation.settings import NEUTRAL, SMILING, SortSettings

SMALL, DOUBTFUL, TURNED, BLURRED = "face too small", "doubtful face", "head turned away", "blurred"
GREY, COLOURED = "grey among colours", "coloured among grey"
COPY, BETWEEN, BOTH, BALANCE = "copy", "between the expressions", "person of the other domain", "balance"
_GREY = 6.0
"""Faces with a smaller chroma are grey (our choice; the palest portrait in colour that was tried has 9)."""
_MISFIT = 0.05
"""Landmarks that are farther from a face's are doubtful (our choice)."""
_NOD = (0.5, 0.95)
"""Where the nose lies below the eyes, in eye distances, if the head neither nods nor is thrown back (our choice)."""


@dataclass(frozen=True)
class Photograph:
    """A measured photograph on its way into the set."""

    measurement: Measurement
    source: str
    """Name of the folder that it comes from."""
    domain: str = ""
    person: int = -1


class LeftOut(NamedTuple):
    """A file that does not get into the set."""

    file: str
    reason: str
    detail: str


class Choice(NamedTuple):
    """What remains, and what was left out."""

    kept: list[Photograph]
    left_out: list[LeftOut]


def leave_out_defects(photographs: Iterable[Photograph], settings: SortSettings) -> Choice:
    """Keep photographs of one clear frontal face, all in colour or all grey."""
    choice = Choice([], [])
    for photograph in photographs:
        defect = _defect(photograph.measurement, settings)
        if defect:
            choice.left_out.append(LeftOut(photograph.measurement.file, *defect))
        else:
            choice.kept.append(photograph)
    grey = [photograph for photograph in choice.kept if photograph.measurement.chroma < _GREY]
    coloured = [photograph for photograph in choice.kept if photograph.measurement.chroma >= _GREY]
    kept, others, reason = (grey, coloured, COLOURED) if len(grey) > len(coloured) else (coloured, grey, GREY)
    faces = [photograph.measurement for photograph in others]
    return Choice(kept, choice.left_out + [LeftOut(face.file, reason, f"chroma {face.chroma:.0f}") for face in faces])


def _defect(face: Measurement, settings: SortSettings) -> tuple[str, str] | None:
    """The first reason to leave a photograph out, with its number."""
    if face.problem:
        return face.problem, face.detail
    pixels, least = face.side * (1 + 2 * settings.margin), settings.min_pixels * settings.size
    if pixels < least:
        return SMALL, f"{pixels:.0f} px, not {least:.0f}"
    if face.confidence < settings.min_confidence:
        return DOUBTFUL, f"confidence {face.confidence:.2f}"
    if abs(face.turn) > settings.max_turn:
        return TURNED, f"to the side, {abs(face.turn):.2f}"
    if not _NOD[0] <= face.nod <= _NOD[1]:
        return TURNED, f"{'down' if face.nod > _NOD[1] else 'up'}, {face.nod:.2f}"
    if face.misfit > _MISFIT:
        return DOUBTFUL, f"landmarks {100 * face.misfit:.0f} % from a face's"
    sharpness = face.sharpness[settings.size > SHARPNESS_SIDES[0]]
    if sharpness < settings.min_sharpness:
        return BLURRED, f"sharpness {sharpness:.2f}"
    return None


def leave_out_copies(photographs: Sequence[Photograph], settings: SortSettings) -> Choice:
    """Find out who is in each photograph, and keep the largest of the copies of a photograph.

    Copies are of one person in one domain: a neutral and a smiling photograph of one sitting are very similar.
    """
    if not photographs:
        return Choice([], [])
    faces = [photograph.measurement for photograph in photographs]
    people = group_people(np.array([face.identity for face in faces]), settings.same_person)
    thumbnails, sides = np.stack([face.grey_values for face in faces]), np.array([face.side for face in faces])
    groups = [(each.domain, person) for each, person in zip(photographs, people.tolist(), strict=True)]
    copies = find_copies(thumbnails, groups, sides)
    named = [replace(each, person=person) for each, person in zip(photographs, people.tolist(), strict=True)]
    return Choice(
        [photograph for index, photograph in enumerate(named) if index not in copies],
        [LeftOut(faces[copy].file, COPY, f"of {faces[original].file}") for copy, original in sorted(copies.items())],
    )


def sort_by_smile(photographs: Iterable[Photograph], settings: SortSettings) -> Choice:
    """Give each photograph the domain smiling or neutral, and leave out what lies between."""
    choice = Choice([], [])
    for photograph in photographs:
        smile = photograph.measurement.smile
        assert smile is not None
        if settings.neutral < smile < settings.smiling:
            choice.left_out.append(LeftOut(photograph.measurement.file, BETWEEN, f"smile {100 * smile:.0f} %"))
        else:
            domain = SMILING if smile >= settings.smiling else NEUTRAL
            choice.kept.append(replace(photograph, domain=domain))
    return choice


def keep_one_domain_a_person(photographs: Sequence[Photograph]) -> Choice:
    """Keep each person in one domain."""
    domains = choose_domains([each.person for each in photographs], [each.domain for each in photographs])
    others = [each for each in photographs if each.domain != domains[each.person]]
    return Choice(
        [each for each in photographs if each.domain == domains[each.person]],
        [LeftOut(each.measurement.file, BOTH, f"also in {domains[each.person]}") for each in others],
    )


def numbers_of(photographs: Iterable[Photograph]) -> Counter[str]:
    """Number of photographs in each domain."""
    return Counter(photograph.domain for photograph in photographs)
