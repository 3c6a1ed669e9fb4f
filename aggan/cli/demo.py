"""`aggan demo [MODEL ...]`."""

import atexit
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from aggan.cli.model_server import ModelServer, display_names
from aggan.errors import UserError


@dataclass
class Demo(ModelServer):
    """Serve a web page that translates images, offline. Needs the extra `demo`."""

    host: str = "127.0.0.1"
    """The address to listen on. 0.0.0.0 admits other machines; browsers allow them the camera only through HTTPS."""
    port: int = 7860
    """The port to listen on."""
    root_path: str = ""
    """The path under which a web server in front of the page serves it, for example /demo, or its whole URL."""


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    args = tyro.cli(Demo, args=argv, prog="aggan demo")
    args.check(args.port)
    if args.root_path and not args.root_path.startswith(("/", "http://", "https://")):
        raise UserError(f"--root-path must begin with / or be a whole URL, not {args.root_path}")
    names = display_names(args.models)
    import torch

    from aggan.demo.page import launch
    from aggan.demo.session import ResultStore, Session, load_model
    from aggan.web.listening import url

    if args.threads:
        torch.set_num_threads(args.threads)
    models = {name: load_model(model) for name, model in zip(names, args.models, strict=True)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that the temporary folder is deleted
    host = args.host.strip("[]")
    page = launch(Session(models, args.megapixels, ResultStore(_temporary_folder())), host, args.port, args.root_path)
    print(f"{url(host, args.port)} (press Ctrl-C to stop)", flush=True)
    page.block_thread()
    return 0


def _temporary_folder() -> Path:
    """A folder for uploads and results that only this user can read. It is deleted when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="aggan-demo-"))
    # Deleted at exit rather than after serving, as a translation that is still running would create it again.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    return folder
