"""`aggan study simulate STUDY --rates NAME=SHARE ...`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from aggan.cli.study import named
from aggan.cli.study_results import show
from aggan.errors import UserError
from aggan.study.plan import read_plan
from aggan.study.simulate import Crowd, simulate


@dataclass
class Simulate:
    """Send participants with known rates of being fooled through a real server; the study's answers stay."""

    study: Annotated[Path, tyro.conf.Positional]
    """A folder that `aggan study create` made."""
    rates: list[str]
    """NAME=SHARE for each system: how often its pictures are held to be real, from 0 to 1."""
    participants: int = 50
    """How many; the paper asked 50 for each system."""
    careless: float = 0.0
    """Share of them who toss a coin everywhere."""
    seed: int = 0
    """Other seeds give other answers."""


def main(arguments: list[str]) -> int:
    """Run the action; 1 where an answer was lost."""
    asked = tyro.cli(Simulate, args=arguments, prog="aggan study simulate")
    plan = read_plan(asked.study)
    rates = {name: _share(f"--rates {name}", value) for name, value in named(asked.rates, "--rates").items()}
    if set(rates) != set(plan.systems):
        raise UserError(f"--rates: give one for each of {', '.join(plan.systems)}")
    if asked.participants < 1:
        raise UserError(f"--participants {asked.participants}: it should be at least 1")
    crowd = Crowd(rates, asked.participants, _share("--careless", str(asked.careless)), asked.seed)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("taking part", total=crowd.people)
        made = simulate(asked.study, crowd, lambda: progress.advance(task))
    print(f"Rates given: {', '.join(f'{name} {rate:.1%}' for name, rate in rates.items())}")
    show(made)
    return 0 if made.participants.joined == crowd.people and not made.participants.unfinished else 1


def _share(what: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(f"{what} {value}: it should be a share from 0 to 1")
    return share
