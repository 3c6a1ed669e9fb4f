"""Small studies, servers for them, and a PostgreSQL of the tests' own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import psycopg
from fastapi import FastAPI
from PIL import Image as Pillow

from aggan.study.create import Sources, create
from aggan.study.draw import Wanted
from aggan.study.limits import Allowance, Limits
from aggan.study.log import server_log
from aggan.study.plan import Settings, read_plan
from aggan.study.server import Desk, application
from aggan.study.store import Store

PLENTY = Allowance(1e9, 1e9)
LOOSE = Limits(PLENTY, PLENTY, PLENTY)
SYSTEMS = ("good", "bad")
PAIRS = 8
"""That a participant of `small_study` answers: 2 for practice, 4 that count, 2 checks."""


def draw_pictures(folder: Path, names: range, shade: int) -> Path:
    """Noise of 16 pixels around a shade, from which one tells whose folder it was."""
    folder.mkdir(parents=True)
    for name in names:
        noise = np.random.default_rng([shade, name]).integers(0, 40, (16, 16, 3), dtype=np.uint8)
        Pillow.fromarray(noise + np.uint8(shade)).save(folder / f"{name:02}.png")
    return folder


def small_study(room: Path, settings: Settings | None = None) -> Path:
    """Two systems, sixteen people, all paired."""
    folders = {
        name: draw_pictures(room / name, range(16), shade) for name, shade in zip(SYSTEMS, (100, 200), strict=True)
    }
    sources = Sources(draw_pictures(room / "real", range(16), 0), folders)
    create(sources, Wanted(4, 2, 2), settings or Settings(exposure=0.2), 7, room / "study")
    return room / "study"


@contextmanager
def serving(study: Path, url: str, limits: Limits = LOOSE) -> Iterator[tuple[FastAPI, Store]]:
    """The application of a study, in this process."""
    plan = read_plan(study)
    with closing(Store(url, plan.study)) as store, server_log(study) as log:
        yield application(Desk(study, plan, store, limits), limits, log, secure=False), store


def postgres_binary(name: str) -> str | None:
    """One of PostgreSQL's programs; Debian keeps them apart."""
    places = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin"))), os.environ["PATH"]]
    return next((found for place in places if (found := shutil.which(name, path=place))), None)


@contextmanager
def postgres() -> Iterator[Path]:
    """A running PostgreSQL; gives the folder of its socket."""
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    initdb, server = postgres_binary("initdb"), postgres_binary("postgres")
    assert initdb
    assert server
    room = Path(tempfile.mkdtemp(prefix="aggan-postgres-"))
    if user:
        shutil.chown(room, user)
    try:
        data = str(room / "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust"], user=user, check=True, capture_output=True, cwd=room
        )
        command = [server, "-D", data, "-k", str(room), "-c", "listen_addresses="]
        with subprocess.Popen(command, user=user, cwd=room, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for(room)
                yield room
            finally:
                process.terminate()
    finally:
        shutil.rmtree(room)


def _wait_for(room: Path) -> None:
    for _ in range(600):
        with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://postgres@/postgres?host={room}"):
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not start within a minute")
