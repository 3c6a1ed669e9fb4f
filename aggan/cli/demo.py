"""`aggan demo [MODEL ...]`."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError


@dataclass
class Demo:
    """Serve a web page that translates images, offline. Needs the extra `demo`."""

    models: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL ...]")] = field(
        default_factory=lambda: ["faces128"]
    )
    """Run folders, model folders, or models that ship."""
    host: str = "127.0.0.1"
    """The address to listen on. 0.0.0.0 admits other machines; browsers allow them the camera only through HTTPS."""
    port: int = 7860
    """The port to listen on."""
    root_path: str = ""
    """The path under which a web server in front of the page serves it, for example /demo, or its whole URL."""
    megapixels: float = 12.0
    """Larger images are refused."""
    threads: int | None = None
    """CPU threads. Default: all cores."""


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    args = tyro.cli(Demo, args=argv, prog="aggan demo")
    _check(args)
    names = _display_names(args.models)
    import torch

    from aggan.demo.page import launch, page_url
    from aggan.demo.session import ResultStore, Session, load_model

    if args.threads:
        torch.set_num_threads(args.threads)
    models = {name: load_model(model) for name, model in zip(names, args.models, strict=True)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that the temporary folder is deleted
    host = args.host.strip("[]")
    page = launch(Session(models, args.megapixels, ResultStore(_temporary_folder())), host, args.port, args.root_path)
    print(f"{page_url(host, args.port)} (press Ctrl-C to stop)", flush=True)
    page.block_thread()
    return 0


def _check(args: Demo) -> None:
    if not args.megapixels > 0:
        raise UserError(f"--megapixels must be above 0, not {args.megapixels:g}")
    if not 0 < args.port < 2**16:
        raise UserError(f"--port must be between 1 and 65535, not {args.port}")
    if args.root_path and not args.root_path.startswith(("/", "http://", "https://")):
        raise UserError(f"--root-path must begin with / or be a whole URL, not {args.root_path}")
    if args.threads is not None and args.threads < 1:
        raise UserError(f"--threads must be 1 or more, not {args.threads}")


def _display_names(models: Sequence[str]) -> list[str]:
    """The names of the models' folders, with as many parent folders as it takes to tell them apart."""
    paths = [Path(model).resolve().parts if Path(model).exists() else (model,) for model in models]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise UserError("a model is named twice: name each model once")


def _temporary_folder() -> Path:
    """A folder for uploads and results that only this user can read. It is deleted when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="aggan-demo-"))
    # Deleted at exit rather than after serving, as a translation that is still running would create it again.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    return folder
