"""Runs that exist, to be compared: they must be of one kind, and honest about whom they have seen."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aggan.data.folders import find, pictures
from aggan.data.index import CARD, INDEX, read_records
from aggan.errors import UserError
from aggan.io import can_be_a_file
from aggan.methods.pretrained import CONFIG, WEIGHTS, ModelCard, find_model, read_card
from aggan.training.experiment import Experiment


class Run(NamedTuple):
    """A run folder under the name of its row; runs of one name are seeds of one row."""

    name: str
    folder: Path
    model: Path
    """The folder of the weights that are measured."""
    experiment: Experiment
    card: ModelCard


def read_runs(named: Iterable[str]) -> list[Run]:
    """From `[NAME=]FOLDER` each; without a name, the folder's. Raises `UserError`."""
    return [_read(*_named(given)) for given in named]


def _named(given: str) -> tuple[str, Path]:
    name, equals, folder = given.partition("=")
    if not equals:
        return Path(given).resolve().name, Path(given)
    if not can_be_a_file(name):  # it becomes a folder below --out
        raise UserError(f"{given}: {name!r} is no name for a row: give NAME=FOLDER, with no slash in NAME")
    return name, Path(folder)


def _read(name: str, folder: Path) -> Run:
    model = find_model(folder)
    if model is None or not (model / WEIGHTS).is_file():
        raise UserError(f"{folder}: not a run with a model: train it to its first checkpoint")
    return Run(name, folder, model, Experiment.load(folder), read_card(model / CONFIG))


def require_comparable(runs: list[Run], domains: tuple[str, ...], test: Path) -> None:
    """Raises `UserError` for different systems under one name, and for runs that do not compare.

    Those are of other sizes, without one of the domains, or learned from the test people.
    """
    _require_names(runs)
    tested = [file for domain in domains for file in pictures(test / domain)]
    people = _people(test.parent, "test")
    seen = {hashlib.sha256(file.read_bytes()).digest(): file for file in tested}
    for run in runs:
        if run.card.size != runs[0].card.size:
            raise UserError(
                f"{run.folder} works at {run.card.size} px and {runs[0].folder} at {runs[0].card.size}: "
                f"figures at different sizes do not compare"
            )
        missing = [domain for domain in domains if domain not in run.card.domains]
        if missing:
            raise UserError(f"{run.folder}: knows no {missing[0]!r}, only {', '.join(run.card.domains)}")
        _require_strangers(run, seen, people)


def _require_names(runs: list[Run]) -> None:
    first: dict[str, Run] = {}
    for run in runs:
        other = first.setdefault(run.name, run)
        if other.experiment.system != run.experiment.system:
            both = f"{other.folder} and {run.folder}"
            raise UserError(f"{both} are different systems, both called {run.name!r}: name them NAME=FOLDER")


def _require_strangers(run: Run, seen: dict[bytes, Path], people: set[str]) -> None:
    root = run.experiment.data.root
    shared = sorted(people & _people(root, "train")) if root else []
    if shared:
        known = f"{len(shared)} of the people that it would be tested on ({shared[0]})"
        raise UserError(f"{run.folder} learned from {known}")
    for domain in find(run.experiment.data).train:
        for file in domain.files:
            twin = seen.get(hashlib.sha256(file.read_bytes()).digest())
            if twin:
                raise UserError(f"{run.folder} learned from {file}, which is the test picture {twin}")


def _people(root: Path, split: str) -> set[str]:
    """Who is in a split, where the data set says so: names that hold across copies of the set."""
    if not ((root / CARD).exists() and (root / INDEX).exists()):
        return set()
    card = json.loads((root / CARD).read_text(encoding="utf-8"))
    whose = f"{card.get('name')} {card.get('seed')}"
    records = read_records(root / INDEX)
    return {f"{whose}: {record['person']}" for record in records if record["split"] == split and "person" in record}
