"""The choice of a runtime: torch in fp32 or bf16, or an exported copy of the model that is made once and cached."""

import hashlib
import importlib.util
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from aggan.data import cache
from aggan.data.sample_faces import sample_images
from aggan.errors import UserError
from aggan.images.convert import square, to_tensor
from aggan.inference.compositing import Backend
from aggan.inference.export import export
from aggan.inference.exported import VERSION, load_backend
from aggan.inference.options import Runtime
from aggan.inference.parity import compare
from aggan.inference.translator import TorchBackend
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.ops.cpu_features import prefers_bf16
from aggan.types import Image
from aggan.version import __version__

SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".xml"}
REQUIRED = {"onnxruntime": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
"""The modules that export to a runtime and run it."""
MIN_IMAGES = 16
"""Fewer images are translated sooner than runtimes are compared."""
MIN_SECONDS = 60.0
"""A model is exported only if torch would take longer than this for all images: exporting takes seconds."""
MAX_BF16_DIFFERENCE = 0.5
"""Of 255, on average: if bf16 differs more from fp32, `auto` does not choose it."""
_COMPARED_IMAGES, _TIMED_CALLS = 8, 3


class RuntimeRequest(NamedTuple):
    """What a runtime is chosen for."""

    model: Path
    """The folder of the model."""
    runtime: Runtime
    images: int
    """How many there are to translate."""
    threads: int
    """Threads per call; 0 for all."""


def choose_backend(backend: TorchBackend, request: RuntimeRequest, report: Callable[[str], None]) -> Backend:
    """The requested backend, or for `auto` and many images the fastest one here that agrees with torch.

    `report` gets a sentence about each runtime that fails. Raises `UserError` if the requested runtime is not
    installed, or differs from torch.
    """
    runtime = request.runtime
    if runtime == "torch" or (runtime == "auto" and (backend.method.stochastic or request.images < MIN_IMAGES)):
        return backend
    bf16 = replace(backend, bf16=True)
    if runtime == "torch-bf16":
        return bf16
    if runtime != "auto":
        return _exported(backend, request, runtime)
    with _num_threads(request.threads):
        return _fastest(backend, bf16, request, report)


def _fastest(
    backend: TorchBackend, bf16: TorchBackend, request: RuntimeRequest, report: Callable[[str], None]
) -> Backend:
    images = _sample_images(backend.size)
    timed: list[tuple[float, Backend]] = [(_seconds(backend, images[:1]), backend)]
    if prefers_bf16() and compare(backend, bf16, [images]).outputs["translation"].mean < MAX_BF16_DIFFERENCE:
        timed.append((_seconds(bf16, images[:1]), bf16))
    worthwhile = min(seconds for seconds, _ in timed) * request.images > MIN_SECONDS
    for name, modules in REQUIRED.items():
        is_candidate = worthwhile or _cached_file(backend, request.model, name).exists()
        if is_candidate and all(importlib.util.find_spec(module) for module in modules):
            try:
                exported = _exported(backend, request, name)
                timed.append((_seconds(exported, images[:1]), exported))
            except UserError as error:
                report(f"{name} is not used: {error}")
    return min(timed, key=lambda pair: pair[0])[1]


@contextmanager
def _num_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(backend: Backend, image: Image) -> float:
    """Seconds per call: the best of some, after a warm-up call."""
    return min(timeit.repeat(lambda: backend(image), number=1, repeat=1 + _TIMED_CALLS)[1:])


def _exported(backend: TorchBackend, request: RuntimeRequest, name: str) -> Backend:
    file = _cached_file(backend, request.model, name)
    if not file.exists():
        export(backend, file, [_sample_images(backend.size)])
    return load_backend(file, request.threads)


def _cached_file(backend: TorchBackend, model: Path, name: str) -> Path:
    """The cached export. Another model, domain or version has another file."""
    key = hashlib.sha256(f"{__version__} {VERSION} {backend.to} {backend.source}".encode())
    for part in (CONFIG, WEIGHTS):
        key.update((model / part).read_bytes())
    return cache.folder() / "exported" / key.hexdigest()[:32] / f"model{SUFFIXES[name]}"


def _sample_images(size: int) -> Image:
    return to_tensor(np.stack([square(image, size) for image in sample_images(_COMPARED_IMAGES)]))
