"""Try a study out: participants of code against a real server, with a database that is thrown away."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aggan.errors import UserError
from aggan.study.answerer import Person, take_part
from aggan.study.answers import participations
from aggan.study.plan import read_plan
from aggan.study.results import Results, results
from aggan.study.store import Store

AT_ONCE = 8
END = 30
"""Seconds that a server has to end."""


@dataclass(frozen=True)
class Crowd:
    """Who takes part."""

    rates: dict[str, float]
    people: int
    careless: float
    seed: int


def simulate(study: Path, crowd: Crowd, tell: Callable[[], None]) -> Results:
    """Results of such a crowd; `tell` is called after each of them. Raises `UserError`."""
    plan = read_plan(study)
    with tempfile.TemporaryDirectory() as room:
        database = f"sqlite:///{room}/answers.sqlite"

        def one(number: int) -> None:
            random = Random(f"{crowd.seed}/{number}")
            person = Person(crowd.rates, random.random() < crowd.careless, random)
            for _ in take_part(url, plan, person):
                pass
            tell()

        with server(study, database, rate=1000.0) as url, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(crowd.people)))
        with closing(Store(database, plan.study)) as store:
            return results(plan, participations(plan, store))


@contextmanager
def server(study: Path, database: str, rate: float = 1.0) -> Iterator[str]:
    """`aggan study serve` as a process of its own; gives its address."""
    options = ["--database", database, "--port", "0", "--rate", str(rate)]
    command = [sys.executable, "-m", "aggan", "study", "serve", str(study), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield address(process)
        finally:
            process.terminate()
            process.wait(END)


def address(process: subprocess.Popen[str]) -> str:
    """The address that a server says it has; raises `UserError` where it ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if "http" not in line:
        raise UserError("the server did not start; it says why above")
    return line[line.rindex("http") :].split()[0].rstrip("/")
