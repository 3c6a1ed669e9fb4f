"""`aggan study serve STUDY`."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError

MAX_PORT = 65535
MIN_RATE_LIMIT_FACTOR = 0.1
"""With less, a participant's bucket would never hold a whole token."""


@dataclass
class Serve:
    """Serve a study to participants. Answers are stored durably, by default in the folder of the study."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder created by `aggan study create`."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 makes the study reachable from other machines."""
    port: int = 8000
    """Port to listen on; 0: any free port."""
    database: str | None = None
    """postgresql://USER:PASSWORD@HOST/NAME, if several servers share a study. [an SQLite file in its folder]"""
    https_cert: Path | None = None
    """Certificate chain (PEM)."""
    https_key: Path | None = None
    """Private key of the certificate (PEM)."""
    rate_limit_factor: float = 1.0
    """Multiply all rate limits, for example if very many participants share one address."""


def main(argv: list[str]) -> int:
    """Run the action. Returns the exit code."""
    args = tyro.cli(Serve, args=argv, prog="aggan study serve")
    if (args.https_cert is None) != (args.https_key is None):
        raise UserError("--https-cert and --https-key must be given together")
    if not MIN_RATE_LIMIT_FACTOR <= args.rate_limit_factor < inf:
        raise UserError(
            f"--rate-limit-factor {args.rate_limit_factor}: must be a finite number of at least {MIN_RATE_LIMIT_FACTOR}"
        )
    if not 0 <= args.port <= MAX_PORT:
        raise UserError(f"--port {args.port}: must be 0 to {MAX_PORT}")
    from aggan.study.rate_limits import RateLimits
    from aggan.study.serve import ServerConfig, serve, warn_if_unencrypted

    certificate = (args.https_cert, args.https_key) if args.https_cert and args.https_key else None
    warn_if_unencrypted(args.host, certificate is not None)
    limits = RateLimits().scaled(args.rate_limit_factor)
    serve(ServerConfig(args.study, args.database, args.host, args.port, certificate, limits))
    return 0
