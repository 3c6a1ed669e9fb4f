"""Simulate a study: participants with known fooling rates use a real server with a temporary database."""

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
from aggan.study.client import StudyClient
from aggan.study.database import AnswerDatabase
from aggan.study.design import Kind, Side, Trial, participant_trials
from aggan.study.participation import load_participations
from aggan.study.plan import Plan, read_plan
from aggan.study.results import Results, compute_results

WORKERS = 8
"""Participants at the same time."""
SHUTDOWN_TIMEOUT = 30
"""Seconds within which a server must end."""


@dataclass(frozen=True)
class Population:
    """Who takes part in a simulated study."""

    rates: dict[str, float]
    """Fooling rate by method, in 0..1."""
    size: int
    careless: float
    """Fraction of participants who choose at random, in 0..1."""
    seed: int


@dataclass(frozen=True)
class SimulatedParticipant:
    """A participant with known fooling rates. A careless one chooses at random, in attention checks too."""

    rates: dict[str, float]
    careless: bool
    rng: Random

    def choose(self, trial: Trial) -> Side:
        """The side that the participant takes for real."""
        rate = self.rates[trial.method] if trial.kind is not Kind.CHECK else 0.0
        fooled = self.rng.random() < (0.5 if self.careless else rate)
        return Side.RIGHT if fooled == (trial.real_side is Side.LEFT) else Side.LEFT

    def take_part(self, url: str, plan: Plan) -> None:
        """Take part in the study at a URL from beginning to end, and load all images."""
        with closing(StudyClient(url)) as client:
            client.join()
            for index, trial in enumerate(participant_trials(plan, client.number)):
                for side in Side:
                    client.get(client.state["trials"][index][side])
                client.answer(index, self.choose(trial))


def simulate(study: Path, population: Population, on_participant: Callable[[], None]) -> Results:
    """Results of a simulated study. `on_participant` is called after each participant.

    Raises `UserError` if the study cannot be served.
    """
    plan = read_plan(study)
    with tempfile.TemporaryDirectory() as folder:
        database_url = f"sqlite:///{folder}/answers.sqlite"

        def run_participant(number: int) -> None:
            rng = Random(f"{population.seed}/{number}")
            careless = rng.random() < population.careless
            SimulatedParticipant(population.rates, careless, rng).take_part(url, plan)
            on_participant()

        options = ("--database", database_url, "--rate-limit-factor", "1000")
        with server_process(study, *options) as (_, url), ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(run_participant, range(population.size)))
        with closing(AnswerDatabase(database_url, plan.study)) as database:
            return compute_results(plan, load_participations(plan, database))


@contextmanager
def server_process(
    study: Path, *options: str, stderr: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `aggan study serve` on a free port as a process; yields the process and its URL.

    Raises `UserError` if the server does not start.
    """
    command = [sys.executable, "-m", "aggan", "study", "serve", str(study), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process, _server_url(process)
        finally:
            process.terminate()
            process.wait(SHUTDOWN_TIMEOUT)


def _server_url(process: subprocess.Popen[str]) -> str:
    """The URL that a server prints when it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if "http" not in line:
        raise UserError("the server did not start; its error message is above")
    return line[line.rindex("http") :].split()[0].rstrip("/")
