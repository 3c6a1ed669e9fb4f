"""From a command line to an `Experiment`: catalogue entry, then recipe, then flags."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from aggan.errors import UserError
from aggan.methods.registry import CATALOGUE
from aggan.training.config import named, require_parts
from aggan.training.experiment import Experiment, mistakes

FOR = "for"
"""Part of a recipe with settings of single systems, by their names."""


def of(system: str, recipe: str | None) -> Experiment:
    """The settings of a catalogue entry, with a recipe's laid over them; raises `UserError`."""
    if system not in CATALOGUE:
        raise UserError(f"no system {system!r}; there are {', '.join(CATALOGUE)}")
    entry = CATALOGUE[system]
    parts: dict[str, Any] = {"system": entry.model_dump(), "data": {}, "training": {}}
    asked = named(recipe) if recipe else {}
    own = asked.pop(FOR, {})
    _require_known(own, CATALOGUE, f"recipe {recipe}: under {FOR!r}")
    if (meant := asked.get("system", {}).get("system", entry.system)) != entry.system:
        raise UserError(f"recipe {recipe}: its settings are those of {meant!r}, not of {system!r}: name that system")
    for layer in (asked, own.get(entry.system, {}), own.get(system, {})):
        require_parts(layer, str(recipe))
        _require_known(layer, parts, f"recipe {recipe}")
        for part, settings in layer.items():
            # A recipe tunes a system; what makes an ablation an ablation stays.
            fixed = entry.model_fields_set if part == "system" else set()
            parts[part] |= {key: value for key, value in settings.items() if key not in fixed}
    try:
        return Experiment.model_validate(parts)
    except ValidationError as why:
        raise UserError(f"recipe {recipe}: {mistakes(why)}") from why


def _require_known(given: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise UserError(f"{where}: no {name!r}; there are {', '.join(known)}")
