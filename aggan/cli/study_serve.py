"""`aggan study serve STUDY`."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError
from aggan.study.limits import Limits

LAST_PORT = 65535
LEAST_RATE = 0.1
"""With less, a participant would never be allowed a whole answer."""


@dataclass
class Serve:
    """Ask people. Answers go to a file in the study's folder; they survive whatever happens to the server."""

    study: Annotated[Path, tyro.conf.Positional]
    """A folder that `aggan study create` made."""
    host: str = "127.0.0.1"
    """Address to listen at: 0.0.0.0 lets others in."""
    port: int = 8000
    """0 takes a free one."""
    database: str | None = None
    """postgresql://USER:PASSWORD@HOST/NAME, where several servers share a study. [a file in its folder]"""
    https_cert: Path | None = None
    """Certificate chain (PEM)."""
    https_key: Path | None = None
    """Its private key (PEM)."""
    rate: float = 1.0
    """Multiplies the limits on what one address may ask for, where very many participants share one."""


def main(arguments: list[str]) -> int:
    """Run the action and give its exit code."""
    asked = tyro.cli(Serve, args=arguments, prog="aggan study serve")
    if (asked.https_cert is None) != (asked.https_key is None):
        raise UserError("--https-cert and --https-key belong together")
    if not LEAST_RATE <= asked.rate < inf:
        raise UserError(f"--rate {asked.rate}: it should be a number of at least {LEAST_RATE}")
    if not 0 <= asked.port <= LAST_PORT:
        raise UserError(f"--port {asked.port}: it should be 0 to {LAST_PORT}")
    from aggan.study.serving import Serving, serve, warn_if_open

    certificate = (asked.https_cert, asked.https_key) if asked.https_cert and asked.https_key else None
    warn_if_open(asked.host, certificate is not None)
    limits = Limits().times(asked.rate)
    serve(Serving(asked.study, asked.database, asked.host, asked.port, certificate, limits))
    return 0
