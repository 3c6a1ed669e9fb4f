"""Run the web server of models."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import uvicorn

from aggan.serve.app import BODY_SECONDS, Limits, TranslationApi, create_app
from aggan.serve.models import load_models
from aggan.web.listening import is_loopback, listen, url

MAX_CONNECTIONS = 1000
"""Connections beyond this number get status 503."""


@dataclass(frozen=True)
class ServerConfig:
    """What to serve, and where."""

    names: Sequence[str]
    models: Sequence[str]
    """Run folders, model folders, or models that ship."""
    host: str
    port: int
    limits: Limits


def serve(config: ServerConfig) -> None:
    """Serve until interrupted, then finish what was accepted. Raises `UserError` if it cannot start."""
    with listen(config.host, config.port, MAX_CONNECTIONS) as listener:
        app = create_app(TranslationApi(load_models(config.names, config.models), config.limits))
        if not is_loopback(config.host):
            print(
                f"warning: other machines can reach {config.host}, without accounts and without HTTPS; put a web "
                "server in front of it.",
                file=sys.stderr,
            )
        settings = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=math.ceil(BODY_SECONDS + config.limits.seconds),
        )
        print(f"{url(config.host, config.port)} (press Ctrl-C to stop)", flush=True)
        uvicorn.Server(settings).run(sockets=[listener])
