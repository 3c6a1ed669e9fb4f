"""A model as a file for other programs, ONNX or OpenVINO, written only if it says what torch says.

The formats of input, outputs and metadata are told in `aggan.inference.exported`.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from aggan.errors import UserError
from aggan.extras import needed
from aggan.inference.exported import DOING, INPUT, METADATA, OUTPUTS, Exported, load_backend
from aggan.inference.parity import Parity, compare
from aggan.inference.translator import Torch
from aggan.inference.views import STRIDE
from aggan.io import write_whole
from aggan.types import Image

ANY = 0
"""In place of a size: height, width and the number of pictures stay free."""
_TRACED = (64, 96)
"""Any would do."""


class _Traced(nn.Module):
    """A system that translates to one domain, with tensors in and out."""

    def __init__(self, backend: Torch) -> None:
        super().__init__()
        self.system, self.way = backend.system, (backend.to, backend.source)

    def forward(self, picture: Image) -> tuple[Tensor, Tensor, Tensor]:
        made = self.system.translate(picture, *self.way)
        return made.image, made.mask, made.content


def export(backend: Torch, file: Path, pictures: Sequence[Tensor], size: int = ANY) -> Parity:
    """Write what translates to one domain as .onnx or .xml (with .bin), and its parity as NAME.json beside it.

    `size` is the side of the squares that it takes, or `ANY`: multiples of 4. `pictures` are batches in [-1, 1] that
    it is compared with torch on. Raises `UserError` where the two differ: nothing is written then.
    """
    if backend.square and size not in (ANY, backend.size):
        raise UserError(f"this model takes squares of {backend.size} px only: leave out --size")
    size = backend.size if backend.square else size
    about = Exported(domain=backend.to, size=size or backend.size, square=size != ANY)
    with _room(file) as room:
        partial = room / file.name
        WRITERS[file.suffix](_onnx(backend, size), partial, about)
        parity = compare(backend, load_backend(partial, torch.get_num_threads()), pictures)
        parity.require(file)
        # The weights first: a reader never finds a new model with old weights.
        for written in sorted(room.iterdir(), key=lambda path: path.suffix != ".bin"):
            write_whole(file.with_name(written.name), lambda target, written=written: os.replace(written, target))
    text = parity.model_dump_json(indent=2) + "\n"
    write_whole(file.with_name(file.name + ".json"), lambda path: path.write_text(text, encoding="utf-8"))
    return parity


@contextmanager
def _room(file: Path) -> Iterator[Path]:
    """A temporary folder beside a file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent)
    except OSError as why:
        raise UserError(f"cannot write {file}: {why}") from why
    with room as folder:
        yield Path(folder)


def _onnx(backend: Torch, size: int) -> Any:
    """The system as ONNX, in memory."""
    for module in ("onnx", "onnxscript"):
        needed(module, "export", DOING)
    height, width = (size, size) if size else _TRACED
    sides = {} if size else {2: STRIDE * Dim("rows"), 3: STRIDE * Dim("columns")}
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Traced(backend).eval(),
            (torch.zeros(2, 3, height, width),),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={INPUT: {0: Dim.DYNAMIC, **sides}},
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """What the exporter logs is meant for those who write exporters."""
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
    openvino = needed("openvino", "export", DOING)
    made = openvino.Core().read_model(model.SerializeToString())
    made.set_rt_info(about.model_dump_json(), METADATA)
    openvino.save_model(made, path, compress_to_fp16=False)


WRITERS = {".onnx": _write_onnx, ".xml": _write_openvino}
