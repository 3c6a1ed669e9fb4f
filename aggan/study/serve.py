"""Run the web server of a study."""

import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from aggan.errors import UserError
from aggan.study.app import StudyApi, create_app
from aggan.study.database import AnswerDatabase, database_url
from aggan.study.plan import read_plan, require_images
from aggan.study.rate_limits import RateLimits
from aggan.web.listening import is_loopback, listen, url

MAX_CONNECTIONS = 2000
"""Connections beyond this number get status 503."""
LOG = "server.log"
LOGGER = "uvicorn.error"
"""The logger to which uvicorn reports invalid HTTP and errors of the application."""


@dataclass(frozen=True)
class ServerConfig:
    """Which study to serve, and where."""

    study: Path
    database: str | None
    """URL of the database; None: an SQLite file in the folder of the study."""
    host: str
    port: int
    """0: any free port."""
    certificate: tuple[Path, Path] | None
    """Files of the certificate chain and of its private key, for HTTPS."""
    limits: RateLimits


def serve(config: ServerConfig) -> None:
    """Serve until interrupted. Raises `UserError` if the study, database, address or certificate is unusable."""
    plan = read_plan(config.study)
    require_images(config.study, plan)
    with (
        closing(AnswerDatabase(database_url(config.study, config.database), plan.study)) as database,
        server_log(config.study) as log,
        listen(config.host, config.port, MAX_CONNECTIONS) as listener,
    ):
        https = config.certificate is not None
        app = create_app(StudyApi(config.study, plan, database, config.limits), log, https)
        certificate, key = config.certificate or (None, None)
        uvicorn_config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            uvicorn_config.load()
        except OSError as error:  # includes ssl.SSLError
            raise UserError(f"{certificate} and {key} are not a certificate and its key: {error}") from error
        host, port = listener.getsockname()[:2]
        print(f"{plan.settings.title} {url(host, port, https)}/ (press Ctrl-C to stop)", flush=True)
        uvicorn.Server(uvicorn_config).run(sockets=[listener])


def warn_if_unencrypted(host: str, https: bool) -> None:
    """Warn if other machines can reach the server without HTTPS."""
    if not https and not is_loopback(host):
        print(
            f"warning: other machines can reach {host}, and without HTTPS the participants' answers can be read and "
            "changed on their way; use --https-cert and --https-key, or put an HTTPS proxy in front.",
            file=sys.stderr,
        )


@contextmanager
def server_log(study: Path) -> Iterator[logging.Logger]:
    """A logger that writes to STUDY/server.log, at most three megabytes; it prints errors as well."""
    file = RotatingFileHandler(study / LOG, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    console = logging.StreamHandler()
    console.setLevel(logging.ERROR)
    log = logging.getLogger(LOGGER)
    log.setLevel(logging.WARNING)
    log.propagate = False
    log.handlers = [file, console]
    with closing(file):
        yield log
    log.handlers = []
