"""What computes a translation: torch, or an exported copy of the model that is made once and kept."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from aggan import __version__
from aggan.data import cache
from aggan.data.faces.pack import some
from aggan.data.images import square, to_tensor
from aggan.errors import UserError
from aggan.inference.backends import load_backend
from aggan.inference.layers import Backend
from aggan.inference.translator import Torch
from aggan.systems.files import CONFIG, WEIGHTS

Runtime = Literal["auto", "torch", "onnxruntime", "openvino"]
SUFFIXES = {"openvino": ".xml", "onnxruntime": ".onnx"}
"""The fastest first."""
NEEDED = {"openvino": ("onnx", "onnxscript", "openvino"), "onnxruntime": ("onnx", "onnxscript", "onnxruntime")}
MANY = 200
"""From so many pictures on it pays to export a model first."""
COMPARED = 8


class Asked(NamedTuple):
    """For whom a runtime is sought."""

    model: Path
    """The folder of the model."""
    runtime: Runtime
    pictures: int
    threads: int
    """That each call may use; 0 for all."""


def runtime_for(backend: Torch, asked: Asked, say: Callable[[str], None]) -> Backend:
    """What will compute: as asked for, or for many pictures the fastest that says what torch says.

    Raises `UserError` where what was asked for is not installed, or differs from torch.
    """
    if asked.runtime == "torch" or (asked.runtime == "auto" and backend.system.noisy):
        return backend
    if asked.runtime != "auto":
        return _exported(backend, asked, asked.runtime)
    for name in SUFFIXES:
        worth_it = asked.pictures >= MANY or _file(backend, asked.model, name).exists()
        if worth_it and all(importlib.util.find_spec(module) for module in NEEDED[name]):
            try:
                return _exported(backend, asked, name)
            except UserError as why:
                say(f"not by {name}: {why}")
    return backend


def _exported(backend: Torch, asked: Asked, name: str) -> Backend:
    file = _file(backend, asked.model, name)
    if not file.exists():
        from aggan.inference.export import export  # only where it is needed: it takes a while

        export(backend, file, [_compared(backend.size)])
    return load_backend(file, asked.threads)


def _file(backend: Torch, model: Path, name: str) -> Path:
    """Where it is kept: another model, way or version is another file."""
    key = hashlib.sha256(f"{__version__} {backend.to} {backend.source}".encode())
    for part in (CONFIG, WEIGHTS):
        key.update((model / part).read_bytes())
    return cache.folder() / "exported" / key.hexdigest()[:32] / f"model{SUFFIXES[name]}"


def _compared(size: int) -> Tensor:
    return to_tensor(np.stack([square(picture, size) for picture in some(COMPARED)]))
