"""`aggan demo [MODEL ...]`."""

import tempfile
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
    if asked.megapixels <= 0:
        raise UserError(f"--megapixels is a size above 0, not {asked.megapixels:g}")
    import torch  # only once the options are in order

    from aggan.demo.looking import Shelf
    from aggan.demo.page import launch
    from aggan.demo.visits import Visits

    if asked.threads:
        torch.set_num_threads(asked.threads)
    models = {_called(name): _model(name) for name in asked.models}
    with tempfile.TemporaryDirectory(prefix="aggan-demo-") as room:
        page = launch(Visits(models, asked.megapixels, Shelf(Path(room))), asked.host, asked.port)
        print(f"http://{asked.host}:{asked.port} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return 0


def _called(name: str) -> str:
    return Path(name).resolve().name if Path(name).exists() else name


def _model(name: str):
    from aggan.demo.visits import Model
    from aggan.inference.faces import Faces
    from aggan.inference.landmarks import FaceFinder
    from aggan.inference.places import place_of
    from aggan.inference.translator import load
    from aggan.inference.views import whole

    translator = load(name)
    if not find_spec("dlib"):
        return Model(translator, {WHOLE: whole})
    finder = FaceFinder()
    return Model(translator, {FACES: Faces(finder, place_of(name, translator.card, finder)), WHOLE: whole})
