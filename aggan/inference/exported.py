"""Exported models that run without their method: ONNX Runtime and OpenVINO. Needs the extra `export`.

A file has one input, `image`, float32 (n, 3, height, width) in [-1, 1]. Its outputs have the same size: `translation`,
`mask` (one channel, in [0, 1]) and `content`; without attention, `translation` is the only one. The metadata entry
`aggan` holds an `Exported` as JSON.
"""

import json
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from aggan.errors import UserError
from aggan.extras import require_module
from aggan.inference.compositing import Backend
from aggan.types import Image, Translation

INPUT, OUTPUTS = "image", ("translation", "mask", "content")
METADATA = "aggan"
"""The metadata entry that holds `Exported`."""
VERSION = 2
PURPOSE = "exporting and running exported models"


class Exported(BaseModel):
    """The metadata of an exported file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = VERSION
    domain: str
    """The domain that it translates to."""
    size: int
    """Side of the training images in pixels."""
    fixed_size: bool
    """Whether it takes squares of that size only. Otherwise sides are multiples of 4."""
    attention: bool
    """Whether there are a mask and a content."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return OUTPUTS if self.attention else OUTPUTS[:1]


class ExportedBackend(ABC):
    """Runs an exported file."""

    about: Exported

    @property
    def size(self) -> int:
        """Side of the training images in pixels."""
        return self.about.size

    @property
    def fixed_size(self) -> bool:
        """Whether it takes squares of that size only."""
        return self.about.fixed_size

    @abstractmethod
    def __call__(self, images: Image) -> Translation:
        """Translate images (n, 3, h, w) in [-1, 1]."""


class OnnxRuntimeBackend(ExportedBackend):
    """Runs an .onnx file."""

    def __init__(self, file: Path, threads: int = 0) -> None:
        """`threads=0` leaves the choice to ONNX Runtime. Raises `UserError` if the file is not an exported model."""
        onnxruntime = require_module("onnxruntime", "export", PURPOSE)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise _unreadable(file, error) from error
        self.about = _read_metadata(file, self._session.get_modelmeta().custom_metadata_map.get(METADATA))

    def __call__(self, images: Image) -> Translation:
        outputs = self._session.run(list(self.about.outputs), {INPUT: images.contiguous().numpy()})
        return Translation(*map(torch.from_numpy, outputs))


class OpenVinoBackend(ExportedBackend):
    """Runs an .xml file with its .bin in float32. By itself, OpenVINO would choose bfloat16 on some CPUs."""

    def __init__(self, file: Path, threads: int = 0) -> None:
        """`threads=0` leaves the choice to OpenVINO. Raises `UserError` if the file is not an exported model."""
        openvino = require_module("openvino", "export", PURPOSE)
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(file)
            self._requests = threading.local()  # a request serves one thread at a time
            self._compiled = openvino.compile_model(model, "CPU", settings)
        except Exception as error:  # its errors have no common class
            raise _unreadable(file, error) from error
        metadata = model.get_rt_info(METADATA).astype(str) if model.has_rt_info(METADATA) else None
        self.about = _read_metadata(file, metadata)

    def __call__(self, images: Image) -> Translation:
        if not hasattr(self._requests, "request"):
            self._requests.request = self._compiled.create_infer_request()
        outputs = self._requests.request.infer({INPUT: images.contiguous().numpy()})
        return Translation(*(torch.from_numpy(np.array(outputs[name])) for name in self.about.outputs))


RUNTIMES = {".onnx": OnnxRuntimeBackend, ".xml": OpenVinoBackend}


def load_backend(file: Path, threads: int = 0) -> Backend:
    """Load an exported file, .onnx or .xml. Raises `UserError` if it is not one, or of another format version."""
    if file.suffix not in RUNTIMES:
        raise UserError(f"{file}: not an exported model: their names end in {' or '.join(RUNTIMES)}")
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    return RUNTIMES[file.suffix](file, threads)


def _read_metadata(file: Path, metadata: str | None) -> Exported:
    try:
        content = json.loads(metadata or "null")
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version < VERSION:
            raise UserError(f"{file}: format version {version} is too old: run aggan export again")
        return Exported.model_validate(content)
    except (ValidationError, json.JSONDecodeError):
        raise UserError(f"{file}: not written by aggan export, or by a newer version of it") from None


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"{file}: cannot be read: {' '.join(str(error).split())[:200]}")
