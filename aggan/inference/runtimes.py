"""What computes a translation: torch in fp32 or bf16, or an exported copy of the model that is made once and kept."""

import hashlib
import importlib.util
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aggan import __version__
from aggan.data import cache
from aggan.data.sample_faces import some
from aggan.errors import UserError
from aggan.images.convert import square, to_tensor
from aggan.inference.compositing import Backend
from aggan.inference.exported import load_backend
from aggan.inference.parity import compare
from aggan.inference.translator import Torch
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.ops.cpu_features import prefers_bf16

Runtime = Literal["auto", "torch", "torch-bf16", "onnxruntime", "openvino"]
SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".xml"}
NEEDED = {"onnxruntime": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
FEW = 16
"""Fewer pictures are translated before anything else is ready."""
LONG = 60.0
"""Seconds that torch would need for all pictures: an exported model saves some tenths, and takes seconds to make."""
COMPARED, TIMED = 8, 3
APART = 0.5
"""Of 255, on average: a picture in bf16 that is further from fp32's is not taken unless it is asked for."""


class Asked(NamedTuple):
    """For whom a runtime is sought."""

    model: Path
    """The folder of the model."""
    runtime: Runtime
    pictures: int
    threads: int
    """That each call may use; 0 for all."""


def runtime_for(backend: Torch, asked: Asked, say: Callable[[str], None]) -> Backend:
    """What will compute: as asked for, or for many pictures the fastest here that says what torch says.

    Raises `UserError` where what was asked for is not installed, or differs from torch.
    """
    if asked.runtime == "torch" or (asked.runtime == "auto" and (backend.system.noisy or asked.pictures < FEW)):
        return backend
    half = replace(backend, half=True)
    if asked.runtime == "torch-bf16":
        return half
    if asked.runtime != "auto":
        return _exported(backend, asked, asked.runtime)
    with _threads(asked.threads):
        return _fastest(backend, half, asked, say)


def _fastest(backend: Torch, half: Torch, asked: Asked, say: Callable[[str], None]) -> Backend:
    pictures = _compared(backend.size)
    found: list[tuple[float, Backend]] = [(_seconds(backend, pictures[:1]), backend)]
    if prefers_bf16() and compare(backend, half, [pictures]).outputs["image"].mean < APART:
        found.append((_seconds(half, pictures[:1]), half))
    worth_it = min(seconds for seconds, _ in found) * asked.pictures > LONG
    for name, modules in NEEDED.items():
        wanted = worth_it or _file(backend, asked.model, name).exists()
        if wanted and all(importlib.util.find_spec(module) for module in modules):
            try:
                exported = _exported(backend, asked, name)
                found.append((_seconds(exported, pictures[:1]), exported))
            except UserError as why:
                say(f"not by {name}: {why}")
    return min(found, key=lambda each: each[0])[1]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(backend: Backend, picture: Tensor) -> float:
    """For one picture, the best of some."""
    return min(timeit.repeat(lambda: backend(picture), number=1, repeat=1 + TIMED)[1:])  # the first one prepares


def _exported(backend: Torch, asked: Asked, name: str) -> Backend:
    file = _file(backend, asked.model, name)
    if not file.exists():
        from aggan.inference.export import export

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
