"""Exported models that run without the system that made them: ONNX Runtime and OpenVINO (the extra `export`).

A file has one input, `picture`, float32 (n, 3, height, width) in [-1, 1], and three outputs of its size: `image`
(what `picture` becomes), `attention` (one channel, in [0, 1]) and `content`. Its metadata say what it is for.
"""

import json
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from aggan.errors import UserError
from aggan.extras import needed
from aggan.inference.compositing import Backend
from aggan.types import Image, Translation

INPUT, OUTPUTS = "picture", ("image", "attention", "content")
METADATA = "aggan"
"""The name under which a file keeps its `Exported`."""
DOING = "exporting and running exported models"


class Exported(BaseModel):
    """What an exported file is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    domain: str
    """What it translates to."""
    size: int
    """Side of the pictures that the model was trained on."""
    square: bool
    """Whether it takes squares of that size only; otherwise sides are multiples of 4."""


class ExportedModel(ABC):
    """What runs an exported file."""

    about: Exported

    @property
    def size(self) -> int:
        """Side of the pictures that the model was trained on."""
        return self.about.size

    @property
    def square(self) -> bool:
        """Whether it takes squares of that size only."""
        return self.about.square

    @abstractmethod
    def __call__(self, images: Image) -> Translation:
        """Translations of pictures (n, 3, height, width) in [-1, 1]."""


class OnnxRuntime(ExportedModel):
    """Runs an .onnx file."""

    def __init__(self, file: Path, threads: int = 0) -> None:
        """`threads` 0 leaves the choice to ONNX Runtime. Raises `UserError`."""
        runtime = needed("onnxruntime", "export", DOING)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as why:  # its errors have no class in common
            raise _unreadable(file, why) from why
        self.about = _about(file, self._session.get_modelmeta().custom_metadata_map.get(METADATA))

    def __call__(self, images: Image) -> Translation:
        made = self._session.run(list(OUTPUTS), {INPUT: images.contiguous().numpy()})
        return Translation(*map(torch.from_numpy, made))


class OpenVino(ExportedModel):
    """Runs an .xml file with its .bin beside it, in float32: OpenVINO would choose bfloat16 by itself."""

    def __init__(self, file: Path, threads: int = 0) -> None:
        """`threads` 0 leaves the choice to OpenVINO. Raises `UserError`."""
        openvino = needed("openvino", "export", DOING)
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(file)
            self._requests = threading.local()  # a request serves one thread at a time
            self._compiled = openvino.compile_model(model, "CPU", settings)
        except Exception as why:  # its errors have no class in common
            raise _unreadable(file, why) from why
        self.about = _about(file, model.get_rt_info(METADATA).astype(str) if model.has_rt_info(METADATA) else None)

    def __call__(self, images: Image) -> Translation:
        if not hasattr(self._requests, "mine"):
            self._requests.mine = self._compiled.create_infer_request()
        made = self._requests.mine.infer({INPUT: images.contiguous().numpy()})
        return Translation(*(Tensor(made[name].copy()) for name in OUTPUTS))


RUNTIMES = {".onnx": OnnxRuntime, ".xml": OpenVino}


def load_backend(file: Path, threads: int = 0) -> Backend:
    """What runs an exported file; raises `UserError`."""
    if file.suffix not in RUNTIMES:
        raise UserError(f"{file}: no exported model: those are called {' or '.join(RUNTIMES)}")
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    return RUNTIMES[file.suffix](file, threads)


def _about(file: Path, said: str | None) -> Exported:
    try:
        return Exported.model_validate(json.loads(said or "null"))
    except (ValidationError, json.JSONDecodeError):
        raise UserError(f"{file}: not a file that aggan export wrote, or one of a newer aggan") from None


def _unreadable(file: Path, why: Exception) -> UserError:
    return UserError(f"{file}: cannot be read: {' '.join(str(why).split())[:200]}")
