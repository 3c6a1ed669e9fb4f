"""Load, attack and kill -9 tests of a study's server.

    python perf/study.py STUDY --participants 200 --rate 20 --seconds 60 --malformed 10000 --kills 20

STUDY is a folder created by `aggan study create`. Answers go to a temporary database. Prints JSON.
"""

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from malformed import malformed, status

from aggan.study.client import RequestRefusedError, StudyClient
from aggan.study.database import AnswerDatabase
from aggan.study.design import Side
from aggan.study.plan import read_plan
from aggan.study.simulate import server_process

WORKERS = 8


def run_parallel(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


def measure_load(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """All participants join at the same moment; then they load and answer pairs at `args.rate` answers per second."""
    durations: dict[str, list[float]] = defaultdict(list)
    errors: Counter[str] = Counter()
    barrier = threading.Barrier(args.participants)
    interval = args.participants / args.rate
    answer_times: list[float] = []

    def timed(operation: str, call: Callable[[], Any]) -> None:
        start = time.perf_counter()
        try:
            call()
        except (RequestRefusedError, OSError, HTTPException) as error:
            errors[f"{operation}: {error!r}"] += 1
        durations[operation].append(1000 * (time.perf_counter() - start))

    def take_part(number: int) -> None:
        rng = Random(number)
        with closing(StudyClient(url)) as client:
            barrier.wait()
            timed("join", client.join)
            client.close()
            start = time.monotonic() + rng.random() * interval
            for index, trial in enumerate(client.state["trials"][: round(args.seconds / interval)]):
                time.sleep(max(0.0, start + index * interval - time.monotonic()))
                for side in Side:
                    timed("image", lambda path=trial[side]: client.get(path))
                timed("answer", lambda index=index: client.answer(index, rng.choice(list(Side))))
                answer_times.append(time.monotonic())
                client.close()  # as the server does with an idle connection

    run_parallel(args.participants, take_part)
    rate = len(answer_times) / (max(answer_times) - min(answer_times))
    return {"errors": dict(errors), "answers_per_second": round(rate, 1)} | {
        operation: percentiles(milliseconds) for operation, milliseconds in durations.items()
    }


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {"count": len(ordered)} | {
        f"{name}_ms": round(ordered[min(len(ordered) - 1, int(fraction * len(ordered)))], 1)
        for name, fraction in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1))
    }


def attack(study: Path, database_url: str, count: int, rate_limit_factor: str) -> dict[str, Any]:
    """Send malformed requests while a participant takes part: the replies, and what they changed."""
    statuses: Counter[str] = Counter()
    options = ("--database", database_url, "--rate-limit-factor", rate_limit_factor)
    with server_process(study, *options) as (process, url), closing(StudyClient(url)) as client:
        client.join()
        client.answer(0, Side.LEFT)
        before, memory = database_content(database_url, study), resident_megabytes(process.pid)
        parts, start = urlsplit(url), time.monotonic()

        def send(worker: int) -> None:
            rng = Random(worker)
            for _ in range(count // WORKERS):
                statuses[status(str(parts.hostname), parts.port or 0, malformed(rng, client.token))] += 1

        run_parallel(WORKERS, send)
        seconds, unchanged = time.monotonic() - start, database_content(database_url, study) == before
        time.sleep(2)
        with closing(StudyClient(url)) as reconnected:
            reconnected.token = client.token
            reconnected.answer(1, Side.LEFT)
        growth = resident_megabytes(process.pid) - memory
    return {
        "statuses": dict(sorted(statuses.items())),
        "nothing_stored": unchanged,
        "participant_continues": True,
        "memory_growth_mb": round(growth, 1),
        "log_mb": round(sum(path.stat().st_size for path in study.glob("server.log*")) / 1e6, 2),
        "seconds": round(seconds, 1),
    }


def database_content(database_url: str, study: Path) -> str:
    with closing(AnswerDatabase(database_url, read_plan(study).study)) as database:
        participants, answers = database.load()
        return json.dumps([[row.model_dump() for row in rows] for rows in (participants, *answers.values())])


def resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def kill_repeatedly(study: Path, database_url: str, kills: int) -> dict[str, int]:
    """Kill the server at random moments while participants answer without pause. Counts lost acknowledged answers."""
    acknowledged: dict[str, int] = {}

    def take_part(url: str) -> None:
        with suppress(OSError, HTTPException, RequestRefusedError):
            while True:
                with closing(StudyClient(url)) as client:
                    client.join()
                    for index in range(len(client.state["trials"])):
                        client.answer(index, Side.LEFT)
                        acknowledged[client.token] = index + 1

    for seed in range(kills):
        with server_process(study, "--database", database_url, "--rate-limit-factor", "1000") as (process, url):
            threads = [threading.Thread(target=take_part, args=(url,)) for _ in range(WORKERS)]
            for thread in threads:
                thread.start()
            time.sleep(1 + Random(seed).random())
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with closing(AnswerDatabase(database_url, read_plan(study).study)) as database:
        stored = {token: (database.find(token) or (0, 0))[1] for token in acknowledged}
    return {
        "kills": kills,
        "acknowledged_answers": sum(acknowledged.values()),
        "lost": sum(max(0, acknowledged[token] - stored[token]) for token in acknowledged),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--database", help="URL of a PostgreSQL database; by default a temporary SQLite file")
    for name, default in (("participants", 200), ("rate", 20), ("seconds", 60), ("malformed", 10_000), ("kills", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database_url = args.database or f"sqlite:///{folder}/answers.sqlite"
        with server_process(args.study, "--database", database_url) as (_, url):
            results: dict[str, Any] = {"load": measure_load(url, args)}
        if args.malformed:
            results["attack"] = attack(args.study, database_url, args.malformed, "1000")
            results["attack, usual limits"] = attack(args.study, database_url, args.malformed, "1")
        results["kills"] = kill_repeatedly(args.study, database_url, args.kills)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
