"""Where faces lie in the pictures that a model learned from."""

from collections.abc import Sequence
from pathlib import Path

from aggan.data.folders import find, pictures
from aggan.errors import UserError
from aggan.inference.landmarks import USUAL, FaceFinder, Points, usual_place
from aggan.methods.pretrained import ModelCard
from aggan.training.experiment import FILE, Experiment


def place_of(model: str, card: ModelCard, finder: FaceFinder) -> Points:
    """As the model's `config.json` says, or as in the pictures of its run where they still are, or as usual."""
    return card.face or usual_place(_training_pictures(Path(model)), finder) or USUAL


def place_like(folder: Path, finder: FaceFinder) -> Points:
    """As in the pictures of a folder; raises `UserError` where they are no face crops."""
    place = usual_place(pictures(folder), finder)
    if place is None:
        raise UserError(f"{folder}: no face was found in most of its pictures: give some that the model learned from")
    return place


def _training_pictures(model: Path) -> Sequence[Path]:
    for run in (model, model.parent):
        if (run / FILE).is_file():
            try:
                return [file for domain in find(Experiment.load(run).data).train for file in domain.files]
            except UserError:  # the pictures are elsewhere by now
                break
    return []
