"""The whole state of a training in one file, from which it resumes exactly, and the start from another model."""

from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from aggan.errors import UserError
from aggan.io import write_atomic
from aggan.methods.base import Method
from aggan.methods.pretrained import find_model, load_model

FILE = "checkpoint.pt"
VERSION = 2
WIDTH = 160
"""Longest description of what does not fit: PyTorch lists every weight."""


def save(run: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; the previous one stays until the new one is complete."""
    write_atomic(run / FILE, lambda path: torch.save({"version": VERSION} | state, path))


def load(run: Path) -> dict[str, Any]:
    """The run's checkpoint, on the CPU. Raises `UserError` if there is none that can be read."""
    path = run / FILE
    if not path.exists():
        raise UserError(f"{run}: nothing to resume: {FILE} is missing")
    try:
        # weights_only: a checkpoint may come from a stranger, and a pickle could run anything.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken zip or pickle raises errors of many types
        raise UserError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise UserError(
            f"{path}: written by another version of aggan, so the run cannot be resumed; start a new one from its "
            f"model with --training.init-from {run}"
        )
    return state


def init_from(model: Path, method: Method) -> None:
    """Load the inference networks of a model. Raises `UserError` if its networks differ."""
    folder = find_model(model)
    if folder is None:
        raise UserError(f"--training.init-from {model}: no model here")
    state = load_model(folder)[0].inference_state_dict()
    try:
        method.load_inference_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            f"--training.init-from {model}: its networks differ from those to be trained: {describe_misfit(error)}"
        ) from error


def describe_misfit(error: Exception) -> str:
    """The first difference that PyTorch found when a state did not fit, in one short line."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    lines = str(error).splitlines()
    # The first line of several is a title.
    return shorten(lines[1] if len(lines) > 1 else str(error), WIDTH, placeholder=" ...")
