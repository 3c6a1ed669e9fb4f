"""`aggan demo [MODEL ...]`."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError

FACES, WHOLE = "each face", "the whole picture"


@dataclass
class Demo:
    """Serve a web page on which pictures are translated. Needs the extra `demo`; nothing leaves this machine."""

    models: Annotated[list[str], tyro.conf.Positional] = field(default_factory=lambda: ["faces128"])
    """Run folders, model folders, or models that ship; faces128 unless given."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 lets others in, who need HTTPS in front of it for their cameras."""
    port: int = 7860
    """The port to listen on."""
    megapixels: float = 12.0
    """Larger pictures are refused."""
    threads: int | None = None
    """Processor threads; all cores unless given."""


def main(arguments: list[str]) -> int:
    """Serve until interrupted."""
    asked = tyro.cli(Demo, args=arguments, prog="aggan demo")
    _require_sense(asked)
    names = _called(asked.models)
    import torch  # only once the options are in order

    from aggan.demo.page import launch
    from aggan.demo.session import Shelf, Visits

    if asked.threads:
        torch.set_num_threads(asked.threads)
    models = dict(zip(names, map(_model, asked.models), strict=True))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what visitors sent goes
    page = launch(Visits(models, asked.megapixels, Shelf(_room())), asked.host, asked.port)
    print(f"http://{asked.host}:{asked.port} (Ctrl-C ends it)", flush=True)
    page.block_thread()
    return 0


def _require_sense(asked: Demo) -> None:
    if not asked.megapixels > 0:
        raise UserError(f"--megapixels is a size above 0, not {asked.megapixels:g}")
    if not 0 < asked.port < 2**16:
        raise UserError(f"--port is a number from 1 to 65535, not {asked.port}")
    if asked.threads is not None and asked.threads < 1:
        raise UserError(f"--threads {asked.threads}: it should be at least 1")


def _called(models: Sequence[str]) -> list[str]:
    """What the page calls them: their folders' names, with so many of those above that no two are the same."""
    places = [Path(model).resolve().parts if Path(model).exists() else (model,) for model in models]
    for length in range(1, max(map(len, places)) + 1):
        names = ["/".join(place[-length:]) for place in places]
        if len(set(names)) == len(names):
            return names
    raise UserError("two of the models are the same: name each once")


def _room() -> Path:
    """A folder that only this user can look into, for what visitors send and get; it goes when the program ends."""
    room = Path(tempfile.mkdtemp(prefix="aggan-demo-"))
    # At the very end: a translation on its way would make the folder anew.
    atexit.register(shutil.rmtree, room, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(room / "uploads")
    return room


def _model(name: str):
    from aggan.demo.session import Model
    from aggan.inference.alignment import place_of
    from aggan.inference.faces import Faces
    from aggan.inference.landmarks import FaceFinder
    from aggan.inference.translator import load
    from aggan.inference.views import whole

    translator = load(name)
    if not find_spec("dlib"):
        return Model(translator, {WHOLE: whole})
    finder = FaceFinder()
    return Model(translator, {FACES: Faces(finder, place_of(name, translator.card, finder)), WHOLE: whole})
