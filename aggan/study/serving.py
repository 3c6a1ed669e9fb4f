"""Run the server of a study."""

import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from sqlalchemy import URL

from aggan.errors import UserError
from aggan.study.limits import Limits
from aggan.study.log import server_log
from aggan.study.plan import read_plan
from aggan.study.server import Desk, application
from aggan.study.store import Store

CONNECTIONS = 2000
"""Beyond these, 503."""


@dataclass(frozen=True)
class Serving:
    """Where a study is served."""

    study: Path
    database: str | None
    host: str
    port: int
    certificate: tuple[Path, Path] | None
    """Files of the certificate and of its key."""
    limits: Limits


def database_of(study: Path, database: str | None) -> str | URL:
    """The URL of a study's answers: by default, a file in its folder."""
    return database or URL.create("sqlite", database=str((study / "answers.sqlite").resolve()))


def serve(asked: Serving) -> None:
    """Serve until interrupted; raises `UserError`."""
    plan = read_plan(asked.study)
    with (
        closing(Store(database_of(asked.study, asked.database), plan.study)) as store,
        server_log(asked.study) as log,
        _listen(asked) as listening,
    ):
        desk = Desk(asked.study, plan, store, asked.limits)
        secure = asked.certificate is not None
        app = application(desk, asked.limits, log, secure)
        certificate, key = asked.certificate or (None, None)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as why:  # ssl.SSLError is one
            raise UserError(f"{certificate} and {key}: no certificate with its key: {why}") from why
        host, port = listening.getsockname()[:2]
        print(f"{plan.settings.title} http{'s' if secure else ''}://{_shown(host)}:{port}/ (Ctrl-C stops)", flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def warn_if_open(host: str, secure: bool) -> None:
    """Tell that answers travel unprotected, where others can reach the server."""
    if not secure and not _is_own(host):
        print(
            f"warning: {host} can be reached from elsewhere and there is no HTTPS: what participants answer can be "
            "read and changed on its way; give --https-cert and --https-key, or put a server with HTTPS before it.",
            file=sys.stderr,
        )


def _is_own(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(asked: Serving) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        listening = socket.create_server((asked.host, asked.port), family=family, backlog=CONNECTIONS)
    except OSError as why:
        raise UserError(f"cannot listen at {asked.host}:{asked.port}: {why}; choose another --host or --port") from why
    # Else each answer on a kept connection waits 40 ms for the last one to be acknowledged.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
