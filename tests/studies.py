"""Small studies, servers for them, and a PostgreSQL server for the tests."""

import json
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

from aggan.study.app import StudyApi, create_app
from aggan.study.create import Sources, create_study
from aggan.study.database import AnswerDatabase
from aggan.study.plan import Settings, read_plan
from aggan.study.rate_limits import RateLimit, RateLimits
from aggan.study.sampling import TrialCounts
from aggan.study.serve import server_log

UNLIMITED = RateLimit(1e9, 1e9)
NO_LIMITS = RateLimits(UNLIMITED, UNLIMITED, UNLIMITED)
METHODS = ("good", "bad")
TRIALS = 8
"""Trials of each participant of `small_study`: 2 practice, 4 main, 2 attention checks."""


def write_images(folder: Path, names: range, shade: int) -> Path:
    """Noise images of 16 x 16 pixels around a shade that identifies the folder."""
    folder.mkdir(parents=True)
    for name in names:
        noise = np.random.default_rng([shade, name]).integers(0, 40, (16, 16, 3), dtype=np.uint8)
        Pillow.fromarray(noise + np.uint8(shade)).save(folder / f"{name:02}.png")
    return folder


def small_study(folder: Path, settings: Settings | None = None) -> Path:
    """A study of two methods and sixteen inputs, all with their own real image."""
    fakes = {
        method: write_images(folder / method, range(16), shade)
        for method, shade in zip(METHODS, (100, 200), strict=True)
    }
    sources = Sources(write_images(folder / "real", range(16), 0), fakes)
    create_study(sources, TrialCounts(4, 2, 2), settings or Settings(exposure=0.2), 7, folder / "study", print)
    return folder / "study"


def convert_to_version_1(study: Path) -> None:
    """Rewrite a study as version 1 had it, with older names of keys and of the image folder."""
    plan = json.loads((study / "plan.json").read_text())
    settings = plan["settings"]
    for old, new in (("misses", "max_missed_checks"), ("once", "forbid_repeats"), ("completion", "completion_url")):
        settings[old] = settings.pop(new)
    plan["systems"] = plan.pop("methods")
    (study / "plan.json").write_text(json.dumps(plan | {"version": 1}))
    (study / "images").rename(study / "pictures")


@contextmanager
def study_app(study: Path, url: str, limits: RateLimits = NO_LIMITS) -> Iterator[tuple[FastAPI, AnswerDatabase]]:
    """The web application of a study, in this process."""
    plan = read_plan(study)
    with closing(AnswerDatabase(url, plan.study)) as database, server_log(study) as log:
        yield create_app(StudyApi(study, plan, database, limits), log, https=False), database


def postgres_binary(name: str) -> str | None:
    """One of PostgreSQL's programs, which Debian keeps outside of PATH."""
    folders = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin"))), os.environ["PATH"]]
    return next((binary for folder in folders if (binary := shutil.which(name, path=folder))), None)


@contextmanager
def postgres() -> Iterator[Path]:
    """A running PostgreSQL server; yields the folder of its socket."""
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    initdb, server = postgres_binary("initdb"), postgres_binary("postgres")
    assert initdb
    assert server
    folder = Path(tempfile.mkdtemp(prefix="aggan-postgres-"))
    if user:
        shutil.chown(folder, user)
    try:
        data = str(folder / "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust"],
            user=user,
            check=True,
            capture_output=True,
            cwd=folder,
        )
        command = [server, "-D", data, "-k", str(folder), "-c", "listen_addresses="]
        with subprocess.Popen(command, user=user, cwd=folder, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for(folder)
                yield folder
            finally:
                process.terminate()
    finally:
        shutil.rmtree(folder)


def _wait_for(folder: Path) -> None:
    for _ in range(600):
        with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://postgres@/postgres?host={folder}"):
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL did not start within a minute")
