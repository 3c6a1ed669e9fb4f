"""What went wrong, in STUDY/server.log: at most three megabytes altogether, however many are refused."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG = "server.log"
WEB_SERVER = "uvicorn.error"
"""The logger of what is no HTTP at all, and of errors of ours."""


@contextmanager
def server_log(folder: Path) -> Iterator[logging.Logger]:
    """A log for refusals, to which the web server's own go too; errors are also shown."""
    handler = RotatingFileHandler(folder / LOG, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    shown = logging.StreamHandler()
    shown.setLevel(logging.ERROR)
    log = logging.getLogger(WEB_SERVER)
    log.setLevel(logging.WARNING)
    log.propagate = False
    log.handlers = [handler, shown]
    with closing(handler):
        yield log
    log.handlers = []
