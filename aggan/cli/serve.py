"""`aggan serve [MODEL ...]`."""

from dataclasses import dataclass
from math import inf

import tyro

from aggan.cli.model_server import ModelServer, display_names
from aggan.errors import UserError
from aggan.extras import require_module


@dataclass
class Serve(ModelServer):
    """Serve models to programs over HTTP: an image in, its translation out. Needs the extra `serve`."""

    host: str = "127.0.0.1"
    """The address to listen on. 0.0.0.0 admits other machines."""
    port: int = 8000
    """The port to listen on."""
    megabytes: float = 40.0
    """Larger files are refused."""
    queue: int = 20
    """Images that may wait while one is translated. Others are refused with status 429."""
    seconds: float = 60.0
    """The longest time from the arrival of an image to its translation."""


def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    args = tyro.cli(Serve, args=argv, prog="aggan serve")
    args.check(args.port)
    if args.queue < 0:
        raise UserError(f"--queue must be 0 or more, not {args.queue}")
    for option, value in (("--megabytes", args.megabytes), ("--seconds", args.seconds)):
        if not 0 < value < inf:
            raise UserError(f"{option} must be above 0 and finite, not {value:g}")
    names = display_names(args.models)
    for module in ("fastapi", "uvicorn"):
        require_module(module, "serve", "serving models")
    import torch

    from aggan.serve.app import Limits
    from aggan.serve.server import ServerConfig, serve

    if args.threads:
        torch.set_num_threads(args.threads)
    limits = Limits(args.megapixels, args.megabytes, args.queue, args.seconds)
    serve(ServerConfig(names, args.models, args.host.strip("[]"), args.port, limits))
    return 0
