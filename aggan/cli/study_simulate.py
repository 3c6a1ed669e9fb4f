"""`aggan study simulate STUDY --rates NAME=RATE ...`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aggan.cli.study import parse_pairs
from aggan.cli.study_results import print_results
from aggan.errors import UserError


@dataclass
class Simulate:
    """Run a study with simulated participants on a real server. The study's own answers are not touched."""

    study: Annotated[Path, tyro.conf.Positional]
    """Folder created by `aggan study create`."""
    rates: list[str]
    """NAME=RATE for each method: how often its fake images fool a participant, from 0 to 1."""
    participants: int = 50
    """Number of participants; the paper asked 50 for each method."""
    careless: float = 0.0
    """Fraction of participants who choose at random, from 0 to 1."""
    seed: int = 0
    """Seed of the participants' choices."""


def main(argv: list[str]) -> int:
    """Run the action. Returns the exit code: 1 if an answer was lost."""
    args = tyro.cli(Simulate, args=argv, prog="aggan study simulate")
    from rich.console import Console
    from rich.progress import Progress

    from aggan.study.plan import read_plan, require_images
    from aggan.study.simulate import Population, simulate

    plan = read_plan(args.study)
    require_images(args.study, plan)
    rates = {name: _fraction(f"--rates {name}", value) for name, value in parse_pairs(args.rates, "--rates").items()}
    if set(rates) != set(plan.methods):
        raise UserError(f"--rates: give one rate for each of {', '.join(plan.methods)}")
    if args.participants < 1:
        raise UserError(f"--participants {args.participants}: must be at least 1")
    population = Population(rates, args.participants, _fraction("--careless", str(args.careless)), args.seed)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("participants", total=population.size)
        results = simulate(args.study, population, lambda: progress.advance(task))
    print(f"Simulated fooling rates: {', '.join(f'{name} {rate:.1%}' for name, rate in rates.items())}")
    print_results(results)
    return 0 if results.participants.joined == population.size and not results.participants.unfinished else 1


def _fraction(option: str, value: str) -> float:
    try:
        fraction = float(value)
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        raise UserError(f"{option} {value}: must be a number from 0 to 1")
    return fraction
