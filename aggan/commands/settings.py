"""From a command line to an `Experiment`: catalogue entry, then recipe, then flags."""

from typing import Any

from pydantic import ValidationError

from aggan.errors import UserError
from aggan.systems.catalogue import CATALOGUE
from aggan.training.experiment import Experiment, mistakes
from aggan.training.recipe import named


def of(system: str, recipe: str | None) -> Experiment:
    """The settings of a catalogue entry, with a recipe's laid over them; raises `UserError`."""
    if system not in CATALOGUE:
        raise UserError(f"no system {system!r}; there are {', '.join(CATALOGUE)}")
    entry = CATALOGUE[system]
    parts: dict[str, Any] = {"system": entry.model_dump(), "data": {}, "training": {}}
    for part, settings in (named(recipe) if recipe else {}).items():
        if part not in parts:
            raise UserError(f"recipe {recipe}: no part {part!r}; there are system, data and training")
        # A recipe tunes a system; what makes an ablation an ablation stays.
        fixed = entry.model_fields_set if part == "system" else set()
        parts[part] |= {key: value for key, value in settings.items() if key not in fixed}
    try:
        return Experiment.model_validate(parts)
    except ValidationError as why:
        raise UserError(f"recipe {recipe}: {mistakes(why)}") from why
