"""From photographs to training images: measure, leave out, sort, balance, split, write."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from aggan.curation import store
from aggan.curation.balance import Balanced, leave_out_for_balance
from aggan.curation.choose import (
    Choice,
    LeftOut,
    Photograph,
    keep_one_domain_a_person,
    leave_out_copies,
    leave_out_defects,
    numbers_of,
    sort_by_smile,
)
from aggan.curation.crops import crop
from aggan.curation.inputs import Input, Inputs, list_inputs, require_apart, unique_names
from aggan.curation.measure import Instruments, Journal, Measurement, measure
from aggan.curation.report import write_report
from aggan.curation.settings import NEUTRAL, SMILING, SortSettings
from aggan.data.index import SPLITS, Record
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, to_tensor
from aggan.io import exclusive_lock, require_output_folder, resumable

_LEAST_PEOPLE = 2
"""In a domain: one to train, one to test."""

Track = Callable[[Sequence[Input], str], Iterable[Input]]
"""Shows progress; gets what is done."""


class Sorted(NamedTuple):
    """What a sorting did."""

    domains: list[str]
    records: list[Record]
    left_out: list[LeftOut]
    balanced: Balanced
    """Differences of the domains before and after balancing."""
    notes: list[str]
    """Files of the folders that are no photographs, one sentence for each reason."""
    is_new: bool
    """False if the set was there already."""


@dataclass(frozen=True)
class _Selection:
    kept: list[Photograph]
    left_out: list[LeftOut]
    balanced: Balanced


def sort_photographs(
    inputs: Inputs, out: Path, settings: SortSettings, load_instruments: Callable[[bool], Instruments], track: Track
) -> Sorted:
    """Write a set of aligned faces to `out`, or continue an interrupted sorting.

    `load_instruments` is called if there is something to measure, with whether expressions are needed. Raises
    `UserError` if nothing can be read or written, or if not every domain gets two people.
    """
    require_apart(inputs, out)
    store.require_own(out)
    require_output_folder(out, "--out")
    files, notes = list_inputs(inputs)
    with exclusive_lock(out / store.WORK):
        with resumable():
            measured = _measure_all(files, out, load_instruments, not inputs.domains, track)
        selection = _select(files, measured, out, settings, inputs)
        records = _make_records(selection.kept, settings)
        faces = [photograph.measurement for photograph in selection.kept]
        card = store.make_card(asdict(settings), _domains(inputs), records, faces)
        is_new = not store.is_current(out, card, records)
        if is_new:
            images = (_crop(face, settings) for face in faces)
            with resumable():
                store.write_images(out, records, images)
                store.replace(out, card, records)
        write_report(out, selection.left_out, selection.balanced, records, measured.values())
    return Sorted(_domains(inputs), records, selection.left_out, selection.balanced, notes, is_new)


def _domains(inputs: Inputs) -> list[str]:
    return list(inputs.domains or (NEUTRAL, SMILING))


def _measure_all(
    files: Sequence[Input], out: Path, load_instruments: Callable[[bool], Instruments], expressions: bool, track: Track
) -> dict[Path, Measurement]:
    journal = Journal(out / store.WORK / store.MEASUREMENTS, expressions)
    new = [each for each in files if journal.find(each.file) is None]
    if new:
        instruments = load_instruments(expressions)
        for each in track(new, "measuring"):
            journal.append(measure(each.file, instruments))
    measured = ((each.file, journal.find(each.file)) for each in files)
    return {file: measurement for file, measurement in measured if measurement}


def _select(
    files: Sequence[Input], measured: dict[Path, Measurement], out: Path, settings: SortSettings, inputs: Inputs
) -> _Selection:
    """Choose the images of the set. What was left out is listed in `out` even if nothing remains."""
    left_out: list[LeftOut] = []

    def remaining(choice: Choice) -> list[Photograph]:
        left_out.extend(choice.left_out)
        store.write_left_out(out, left_out)
        return choice.kept

    photographs = [Photograph(measured[each.file], each.source, each.domain) for each in files if each.file in measured]
    kept = remaining(leave_out_defects(photographs, settings))
    if not kept:
        raise UserError(
            f"no usable face in {len(files)} photographs ({_summary(left_out)}): see {out / store.LEFT_OUT}"
        )
    if not inputs.domains:
        kept = remaining(sort_by_smile(kept, settings))
    kept = remaining(leave_out_copies(kept, settings))
    kept = remaining(keep_one_domain_a_person(kept))
    _require_people(kept, _domains(inputs), left_out, out)
    balanced = leave_out_for_balance(kept, settings)
    return _Selection(remaining(balanced.choice), left_out, balanced)


def _require_people(kept: Sequence[Photograph], domains: Sequence[str], left_out: Sequence[LeftOut], out: Path) -> None:
    people = Counter(domain for domain, _ in {(each.domain, each.person) for each in kept})
    poor = [domain for domain in domains if people[domain] < _LEAST_PEOPLE]
    if poor:
        numbers = ", ".join(f"{numbers_of(kept)[domain]} {domain}" for domain in domains)
        has = "photographs of one person only" if people[poor[0]] else "no photographs"
        raise UserError(
            f"{poor[0]} has {has} ({numbers}; left out: {_summary(left_out) or 'nothing'}): add some, of "
            f"{_LEAST_PEOPLE} people or more; {out / store.LEFT_OUT} lists what was left out"
        )


def _summary(left_out: Iterable[LeftOut]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in Counter(each.reason for each in left_out).most_common())


def _make_records(kept: Sequence[Photograph], settings: SortSettings) -> list[Record]:
    test = _choose_test_people(kept, settings)
    names = unique_names((each.source, Path(each.measurement.file).stem) for each in kept)
    records = []
    for each, name in zip(kept, names, strict=True):
        split = SPLITS[each.person in test]
        records.append(
            {
                "file": f"{split}/{each.domain}/{name}.png",
                "split": split,
                "expression": each.domain,
                "person": each.person,
                "source": _source(each),
                **({} if each.measurement.smile is None else {"smile": each.measurement.smile}),
            }
        )
    return records


def _choose_test_people(kept: Sequence[Photograph], settings: SortSettings) -> set[int]:
    """Some people of each domain: at least one, and at least one stays in the training split.

    People are drawn by their files' names, so that most stay in their split when photographs are added.
    """
    draws: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for each in kept:
        digest = hashlib.sha256(os.fsencode(f"{settings.seed} {_source(each)}")).hexdigest()
        draws[each.domain][each.person] = min(digest, draws[each.domain].get(each.person, digest))
    test = set[int]()
    for people in draws.values():
        count = min(max(1, round(settings.test_share * len(people))), len(people) - 1) if settings.test_share else 0
        test.update(sorted(people, key=people.__getitem__)[:count])
    return test


def _source(photograph: Photograph) -> str:
    return str(PurePosixPath(photograph.source, Path(photograph.measurement.file).name))


def _crop(face: Measurement, settings: SortSettings) -> Pillow.Image:
    try:
        photograph = to_tensor(np.array(read(Path(face.file))))[None]
    except Unreadable as error:
        raise UserError(f"{error}; it could be read before") from error
    return Pillow.fromarray(crop(photograph, np.array(face.landmarks), settings.size, settings.margin))
