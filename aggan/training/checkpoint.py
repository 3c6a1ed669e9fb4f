"""The whole state of a training in one file, from which it goes on exactly."""

from pathlib import Path
from typing import Any

import torch

from aggan.errors import UserError
from aggan.io import write_whole
from aggan.methods.base import System
from aggan.methods.pretrained import find_model, load_model

FILE = "checkpoint.pt"
VERSION = 1


def save(run: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; the previous one stays until the new one is whole."""
    write_whole(run / FILE, lambda path: torch.save({"version": VERSION} | state, path))


def load(run: Path) -> dict[str, Any]:
    """The run's checkpoint on the CPU; raises `UserError` where there is none that can be read."""
    path = run / FILE
    if not path.exists():
        raise UserError(f"{run}: nothing to resume: {FILE} is missing")
    try:
        # weights_only: a checkpoint may come from a stranger, and a pickle could run anything.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:  # what a broken zip or pickle raises is of many kinds
        raise UserError(f"{path}: not a checkpoint that can be read ({type(why).__name__})") from why
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise UserError(f"{path}: not a checkpoint of this version of aggan")
    return state


# --- '"""How a training begins where it does not begin from nothing."""'
def begin_with(model: Path, system: System) -> None:
    """Take over the translators of a model; raises `UserError` where they are of another make."""
    folder = find_model(model)
    if folder is None:
        raise UserError(f"--training.begin-with {model}: no model here")
    state = load_model(folder)[0].translators_state()
    try:
        system.load_translators(state)
    except RuntimeError as why:
        first = str(why).splitlines()[1].strip() if "\n" in str(why) else str(why)
        raise UserError(
            f"--training.begin-with {model}: its networks differ from those to be trained: {first}"
        ) from why
