"""Existing runs to compare: they must be comparable, and must not have seen the test images."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from aggan.data.folders import find, list_images
from aggan.data.index import CARD, index_file, read_records
from aggan.errors import UserError
from aggan.evaluation.test_set import Warn
from aggan.io import is_file_name, printable, read_json
from aggan.methods.pretrained import CONFIG, WEIGHTS, ModelCard, find_model, read_card
from aggan.training.experiment import Experiment


class Run(NamedTuple):
    """A run and the name of its row. Runs of one name are seeds of one row."""

    name: str
    folder: Path
    model: Path
    """The folder of the weights to evaluate."""
    experiment: Experiment
    card: ModelCard


def read_runs(arguments: Iterable[str]) -> list[Run]:
    """Read runs from `[NAME=]FOLDER`; the default name is that of the folder. Raises `UserError`."""
    return [_read(*_parse(argument)) for argument in arguments]


def _parse(argument: str) -> tuple[str, Path]:
    name, equals, folder = argument.partition("=")
    if not equals:
        return printable(Path(argument).resolve().name), Path(argument)
    if not is_file_name(name):  # it becomes a folder below --out
        raise UserError(f"{argument}: {name!r} cannot name a row: give NAME=FOLDER without a slash in NAME")
    return printable(name), Path(folder)


def _read(name: str, folder: Path) -> Run:
    model = find_model(folder)
    if model is None or not (model / WEIGHTS).is_file():
        raise UserError(f"{folder}: not a run with a model: train it to its first checkpoint")
    return Run(name, folder, model, Experiment.load(folder), read_card(model / CONFIG))


def require_comparable(runs: list[Run], folders: Mapping[str, Path], root: Path, warn: Warn) -> list[str]:
    """Raise `UserError` if the runs cannot be compared on the test images in `folders`, by domain, of a data set.

    Runs of one name must have the same method. All must have the same image size and all domains, and must not have
    been trained on a test image or, if the data set names people, on a person of the test images. Returns the names of
    runs whose training images are gone, so that this cannot be checked, and calls `warn` for each.
    """
    _require_names(runs)
    people = _people(root, "test")
    digests = {_digest(file): file for folder in folders.values() for file in list_images(folder)}
    unchecked = []
    for run in runs:
        if run.card.size != runs[0].card.size:
            raise UserError(
                f"{run.folder} works at {run.card.size} px and {runs[0].folder} at {runs[0].card.size}: "
                "metrics at different sizes cannot be compared"
            )
        missing = [domain for domain in folders if domain not in run.card.domains]
        if missing:
            raise UserError(f"{run.folder}: has no domain {missing[0]!r}, only {', '.join(run.card.domains)}")
        try:
            files = [file for domain in find(run.experiment.data).train for file in domain.files]
        except UserError as error:
            warn(f"{run.folder}: whether it was trained on a test image cannot be checked: {error}")
            unchecked.append(run.name)
        else:
            _require_unseen(run, files, digests, people)
    return unchecked


def _require_names(runs: list[Run]) -> None:
    first: dict[str, Run] = {}
    for run in runs:
        other = first.setdefault(run.name, run)
        if other.experiment.method != run.experiment.method:
            both = f"{other.folder} and {run.folder}"
            raise UserError(f"{both} are different methods, both called {run.name!r}: name them NAME=FOLDER")


def _require_unseen(run: Run, files: list[Path], test_images: dict[bytes, Path], test_people: set[str]) -> None:
    root = run.experiment.data.root
    shared = sorted(test_people & _people(root, "train")) if root else []
    if shared:
        raise UserError(f"{run.folder} was trained on {len(shared)} of the people in the test images ({shared[0]})")
    for file in files:
        if twin := test_images.get(_digest(file)):
            raise UserError(f"{run.folder} was trained on {file}, which is the test image {twin}")


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _people(root: Path, split: str) -> set[str]:
    """The people of a split, if the data set names them. Copies of a data set have the same names."""
    index = index_file(root)
    if not ((root / CARD).exists() and index.exists()):
        return set()
    card = read_json(root / CARD)
    data_set = f"{card.get('name')} {card.get('seed')}"
    records = read_records(index)
    return {f"{data_set}: {record['person']}" for record in records if record["split"] == split and "person" in record}
