"""What a run is: a method, its data and its training. `experiment.json` in the run folder keeps it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.io import read_json, write_text_atomic
from aggan.methods.registry import METHODS, AnyMethodConfig
from aggan.migrate import EXPERIMENT_VERSION, migrate_experiment
from aggan.training.config import TrainingConfig, load_recipe, require_sections

FILE = "experiment.json"
SINGLE_METHODS = "for"
"""The section of a recipe with settings of single methods, by name."""


class Experiment(BaseModel):
    """Everything that a run depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[3] = EXPERIMENT_VERSION
    method: AnyMethodConfig
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    def save(self, run: Path) -> None:
        write_text_atomic(run / FILE, self.to_json())

    def to_json(self) -> str:
        """All settings in ASCII, as a path may hold bytes that are no UTF-8."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @staticmethod
    def load(run: Path) -> "Experiment":
        """The experiment of a run folder, also one of an earlier version. Raises `UserError`."""
        if not (run / FILE).is_file():
            raise UserError(f"{run}: not a run: it has no {FILE}")
        content = read_json(run / FILE, newest=EXPERIMENT_VERSION)
        try:
            return Experiment.model_validate(migrate_experiment(content))
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{run / FILE}: cannot be read: {error}") from error
        except ValidationError as error:
            raise UserError(f"{run / FILE}: {validation_errors(error)}") from error

    @staticmethod
    def of(name: str, recipe: str | None) -> "Experiment":
        """The settings of a method in the registry, with a recipe's laid over them. Raises `UserError`."""
        if name not in METHODS:
            raise UserError(f"no method {name!r}; there are {', '.join(METHODS)}")
        entry = METHODS[name]
        sections: dict[str, Any] = {"method": entry.model_dump(), "data": {}, "training": {}}
        shared = load_recipe(recipe) if recipe else {}
        single = shared.pop(SINGLE_METHODS, {})
        _require_known(single, METHODS, f"recipe {recipe}: under {SINGLE_METHODS!r}")
        if (other := shared.get("method", {}).get("method", entry.method)) != entry.method:
            raise UserError(f"recipe {recipe}: its settings are those of {other!r}, not of {name!r}: name that method")
        for layer in (shared, single.get(entry.method, {}), single.get(name, {})):
            require_sections(layer, str(recipe))
            _require_known(layer, sections, f"recipe {recipe}")
            for section, settings in layer.items():
                # A recipe tunes a method, but what makes an ablation an ablation stays.
                fixed = entry.model_fields_set if section == "method" else set()
                _update(sections[section], {key: value for key, value in settings.items() if key not in fixed})
        try:
            return Experiment.model_validate(sections)
        except ValidationError as error:
            raise UserError(f"recipe {recipe}: {validation_errors(error)}") from error


def _update(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    """Nested groups of settings (remedies) are merged, not replaced."""
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(settings.get(key), dict)
        settings[key] = settings[key] | value if nested else value


def validation_errors(error: ValidationError) -> str:
    """Everything that pydantic found, in one line."""
    return "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())


def _require_known(names: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{where}: no {name!r}; there are {', '.join(known)}")
