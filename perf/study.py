"""A study's server under load, under attack and under kill -9.

    python benchmarks/study.py STUDY --participants 200 --rate 20 --seconds 60 --malformed 10000 --kills 20

STUDY is what `aggan study create` made; answers go to a database that is thrown away. Prints JSON.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from malformed import malformed, status

from aggan.study.answerer import Refusal, Visitor
from aggan.study.design import Side
from aggan.study.plan import read_plan
from aggan.study.simulate import address
from aggan.study.store import Store

Seconds = dict[str, list[float]]


@contextmanager
def served(study: Path, database: str, rate: str = "1") -> Iterator[tuple[subprocess.Popen[str], str]]:
    options = ["--database", database, "--port", "0", "--rate", rate]
    command = [sys.executable, "-m", "aggan", "study", "serve", str(study), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, address(process)
        finally:
            process.kill()


def together(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


def crowd(url: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All join at the same moment; then each looks at pairs and answers them, at the rate of all together."""
    taken: Seconds = defaultdict(list)
    errors: Counter[str] = Counter()
    start = threading.Barrier(asked.participants)
    pause = asked.participants / asked.rate
    answered: list[float] = []

    def timed(what: str, call: Callable[[], Any]) -> None:
        began = time.perf_counter()
        try:
            call()
        except (Refusal, OSError, HTTPException) as why:
            errors[f"{what}: {why!r}"] += 1
        taken[what].append(1000 * (time.perf_counter() - began))

    def one(number: int) -> None:
        random = Random(number)
        with closing(Visitor(url)) as visitor:
            start.wait()
            timed("join", visitor.join)
            visitor.close()
            first = time.monotonic() + random.random() * pause
            for index, trial in enumerate(visitor.state["trials"][: round(asked.seconds / pause)]):
                time.sleep(max(0.0, first + index * pause - time.monotonic()))
                for side in Side:
                    timed("picture", lambda path=trial[side]: visitor.get(path))
                timed("answer", lambda index=index: visitor.answer(index, random.choice(list(Side))))
                answered.append(time.monotonic())
                visitor.close()  # as the server does with a connection that is not used for a while

    together(asked.participants, one)
    rate = len(answered) / (max(answered) - min(answered))
    return {"errors": dict(errors), "answers_a_second": round(rate, 1)} | {
        what: spread(some) for what, some in taken.items()
    }


def spread(milliseconds: list[float]) -> dict[str, float]:
    some = sorted(milliseconds)
    return {"count": len(some)} | {
        f"{name}_ms": round(some[min(len(some) - 1, int(share * len(some)))], 1)
        for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("longest", 1))
    }


def attack(study: Path, database: str, asked: argparse.Namespace, rate: str) -> dict[str, Any]:
    """So many malformed requests, while a participant goes on; what they were answered, and what they changed."""
    statuses: Counter[str] = Counter()
    with served(study, database, rate) as (process, url), closing(Visitor(url)) as visitor:
        visitor.join()
        visitor.answer(0, Side.LEFT)
        before, memory = contents(database, study), resident(process.pid)
        parts, began = urlsplit(url), time.monotonic()

        def some(worker: int) -> None:
            random = Random(worker)
            for _ in range(asked.malformed // 8):
                statuses[status(str(parts.hostname), parts.port or 0, malformed(random, visitor.token))] += 1

        together(8, some)
        seconds, unchanged = time.monotonic() - began, contents(database, study) == before
        time.sleep(2)
        with closing(Visitor(url)) as later:
            later.token = visitor.token
            later.answer(1, Side.LEFT)
        grown = resident(process.pid) - memory
    return {
        "statuses": dict(sorted(statuses.items())),
        "nothing_stored": unchanged,
        "participant_goes_on": True,
        "memory_grew_mb": round(grown, 1),
        "log_mb": round(sum(path.stat().st_size for path in study.glob("server.log*")) / 1e6, 2),
        "seconds": round(seconds, 1),
    }


def contents(database: str, study: Path) -> str:
    with closing(Store(database, read_plan(study).study)) as store:
        people, answers = store.everything()
        return json.dumps([[one.model_dump() for one in some] for some in (people, *answers.values())])


def resident(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def kills(study: Path, database: str, times: int) -> dict[str, int]:
    """Eight answer without pause; the server is killed after a random while; what it had said must be stored."""
    told: dict[str, int] = {}

    def take_part(url: str) -> None:
        with suppress(OSError, HTTPException, Refusal):
            while True:
                with closing(Visitor(url)) as visitor:
                    visitor.join()
                    for index in range(len(visitor.state["trials"])):
                        visitor.answer(index, Side.LEFT)
                        told[visitor.token] = index + 1

    for time_ in range(times):
        with served(study, database, "1000") as (process, url):
            people = [threading.Thread(target=take_part, args=(url,)) for _ in range(8)]
            for person in people:
                person.start()
            time.sleep(1 + Random(time_).random())
            process.send_signal(signal.SIGKILL)
            for person in people:
                person.join()
    with closing(Store(database, read_plan(study).study)) as store:
        stored = {token: (store.find(token) or (0, 0))[1] for token in told}
    return {
        "kills": times,
        "answers_told_to_be_stored": sum(told.values()),
        "lost": sum(max(0, told[token] - stored[token]) for token in told),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("study", type=Path)
    options.add_argument("--database", help="of PostgreSQL; by default a file that is thrown away")
    for name, number in (("participants", 200), ("rate", 20), ("seconds", 60), ("malformed", 10_000), ("kills", 20)):
        options.add_argument(f"--{name}", type=int, default=number)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as room:
        database = asked.database or f"sqlite:///{room}/answers.sqlite"
        with served(asked.study, database) as (_, url):
            found: dict[str, Any] = {"crowd": crowd(url, asked)}
        if asked.malformed:
            found["attack"] = attack(asked.study, database, asked, "1000")
            found["attack, usual limits"] = attack(asked.study, database, asked, "1")
        found["kills"] = kills(asked.study, database, asked.kills)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
