"""Export of a model to ONNX or OpenVINO. A file is written only after a parity check against PyTorch.

`aggan.inference.exported` describes the input, the outputs and the metadata of a file.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn
from torch.export import Dim

from aggan.errors import UserError
from aggan.extras import require_module
from aggan.images.convert import square, to_tensor
from aggan.inference.compositing import STRIDE, has_attention
from aggan.inference.exported import INPUT, METADATA, PURPOSE, Exported, load_backend
from aggan.inference.parity import AnyBatch, Parity, compare
from aggan.inference.translator import TorchBackend
from aggan.io import require_output_file, write_atomic, write_failure, write_text_atomic
from aggan.types import Image

_TRACED_SIZE = (64, 96)
"""Height and width of the traced image if the size is free; any would do."""


class _TracedMethod(nn.Module):
    """A method that translates to one domain, with tensors as outputs."""

    def __init__(self, backend: TorchBackend) -> None:
        super().__init__()
        self.method, self.to_domain, self.source = backend.method, backend.to, backend.source

    def forward(self, image: Image) -> tuple[Tensor, ...]:
        translation = self.method.translate(image, self.to_domain, self.source)
        return tuple(output for output in translation if output is not None)


def export(backend: TorchBackend, file: Path, batches: Sequence[AnyBatch], size: int | None = None) -> Parity:
    """Write a model that translates to one domain as .onnx, or .xml and .bin, and its parity as NAME.json.

    `size` is the side of the squares that the file takes, a multiple of 4; None leaves height and width free. The file
    is compared with torch on `batches` of images in [-1, 1]. Raises `UserError` and writes nothing if the two differ,
    if the model has a fixed size and `size` is another one, or if the files cannot be written.
    """
    require_destination(file, "export")
    if backend.fixed_size and size not in (None, backend.size):
        raise UserError(f"this model only takes squares of {backend.size} px: leave out --size")
    size = backend.size if backend.fixed_size else size
    about = Exported(
        domain=backend.to,
        size=size or backend.size,
        fixed_size=size is not None,
        attention=has_attention(backend),
    )
    with _temporary_folder(file) as folder:
        partial = folder / file.name
        model = _to_onnx(backend, size, about)
        try:
            WRITERS[file.suffix](model, partial, about)
        except (OSError, RuntimeError) as error:  # OpenVINO reports a full disk as a RuntimeError
            raise UserError(f"cannot write {file}: {write_failure(error, folder)}") from error
        parity = compare(backend, load_backend(partial, torch.get_num_threads()), batches)
        parity.require(file)
        # The .bin first: a reader never sees a new model with old weights.
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix != ".bin"):
            write_atomic(file.with_name(path.name), lambda target, path=path: os.replace(path, target))
    write_text_atomic(_parity_file(file), parity.model_dump_json(indent=2) + "\n")
    return parity


def require_destination(file: Path, option: str) -> None:
    """Raise `UserError` if a model cannot be exported to this file, before the work that this takes.

    `option` names what the file was derived from in the message.
    """
    weights = [file.with_suffix(".bin")] if file.suffix == ".xml" else []
    for path in (file, *weights, _parity_file(file)):
        require_output_file(path, option)


def _parity_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def parity_batches(images: Sequence[Pillow.Image], size: int, any_size: bool) -> list[AnyBatch]:
    """A batch of squares for the parity check, and with `any_size` an image of another shape."""
    batches = [to_tensor(np.stack([square(image, size) for image in images]))]
    if any_size:
        wide = images[0].convert("RGB").resize((size + 8 * STRIDE, size + STRIDE))
        batches.append(to_tensor(np.array(wide))[None])
    return batches


@contextmanager
def _temporary_folder(file: Path) -> Iterator[Path]:
    """A temporary folder beside a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".aggan-", dir=file.parent) as folder:
        yield Path(folder)


def _to_onnx(backend: TorchBackend, size: int | None, about: Exported) -> Any:
    """The method as an ONNX model in memory."""
    for module in ("onnx", "onnxscript"):
        require_module(module, "export", PURPOSE)
    height, width = (size, size) if size else _TRACED_SIZE
    sides = {} if size else {2: STRIDE * Dim("rows"), 3: STRIDE * Dim("columns")}
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _TracedMethod(backend).eval(),
            (torch.zeros(2, 3, height, width),),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(about.outputs),
            dynamic_shapes={INPUT: {0: Dim.DYNAMIC, **sides}},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence a logger: the exporter's messages are for its own developers."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _write_onnx(model: Any, path: Path, about: Exported) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, about.model_dump_json()
    path.write_bytes(model.SerializeToString())


def _write_openvino(model: Any, path: Path, about: Exported) -> None:
    openvino = require_module("openvino", "export", PURPOSE)
    converted = openvino.Core().read_model(model.SerializeToString())
    converted.set_rt_info(about.model_dump_json(), METADATA)
    openvino.save_model(converted, path, compress_to_fp16=False)


WRITERS: dict[str, Callable[[Any, Path, Exported], None]] = {".onnx": _write_onnx, ".xml": _write_openvino}
