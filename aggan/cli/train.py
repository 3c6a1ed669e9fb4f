"""`aggan train [SYSTEM] --data.x DIR --data.y DIR --out RUN`."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.console import Console

from aggan.cli import settings
from aggan.data.folders import Data
from aggan.errors import UserError
from aggan.training.config import Recipe
from aggan.training.experiment import Experiment
from aggan.training.launch import one_voice_a_machine, speaks

INTERRUPTED = 130
KEPT = ("optimizer", "begin_with")
"""Of the training's settings: what cannot change in the middle."""


def main(arguments: list[str]) -> int:
    """Train, or go on training; 130 when a signal ended it with everything saved."""
    with one_voice_a_machine():
        experiment, run, resume = _asked(arguments)
    from aggan.evaluation.model_selection import frechet_score
    from aggan.training.run import train

    return 0 if train(experiment, run, Console(), resume=resume, scorer=frechet_score) else INTERRUPTED


def _asked(arguments: list[str]) -> tuple[Experiment, Path, bool]:
    """What to train, in which folder, and whether to go on there."""
    named = bool(arguments) and not arguments[0].startswith("-")
    system, rest = (arguments[0], arguments[1:]) if named else ("aggan", arguments)
    early = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    early.add_argument("--recipe", nargs="?")
    early.add_argument("--resume", type=Path, nargs="?")
    known, _ = early.parse_known_args(rest)
    start = Experiment.load(known.resume) if known.resume else settings.of(system, known.recipe)
    form = _form(_without_length(start) if _says_length(rest) else start)
    if known.resume and (known.recipe or (named and settings.of(system, None).system.system != start.system.system)):
        raise UserError(f"{known.resume} goes on with its own system and settings: leave out the system and --recipe")
    asked = tyro.cli(form, args=rest, prog=f"aggan train {system}", console_outputs=speaks())
    experiment = Experiment(system=asked.system, data=asked.data, training=asked.training)
    if asked.resume:
        _require_kept(experiment, start)
    if asked.resume and asked.out:
        raise UserError(f"{asked.resume} goes on where it is: leave out --out {asked.out}")
    run = asked.resume or asked.out
    if run is None:
        raise UserError("where to? give a run folder with --out DIR")
    return experiment, run, asked.resume is not None


def _require_kept(experiment: Experiment, start: Experiment) -> None:
    """Raise `UserError` where a resumed run is to change what cannot change in the middle."""
    if (experiment.system, experiment.data) != (start.system, start.data):
        raise UserError("a resumed run keeps its system and data; only --training settings can change")
    for name in KEPT:
        if getattr(experiment.training, name) != getattr(start.training, name):
            raise UserError(f"a resumed run keeps its {name.replace('_', ' ')}: leave out that setting, or begin anew")


def _says_length(words: list[str]) -> bool:
    return any(word.split("=")[0] in ("--training.epochs", "--training.steps", "--training.minutes") for word in words)


def _without_length(start: Experiment) -> Experiment:
    """A recipe's minutes do not bound the epochs that somebody asks for."""
    return start.model_copy(update={"training": start.training.model_copy(update={"steps": None, "minutes": None})})


def _form(start: Experiment) -> type:
    """The options, with the settings to start from as their defaults."""

    @dataclass
    class Train:
        """Train a system: two folders of pictures in, a run folder out."""

        out: Path | None = None
        """Run folder to write."""
        recipe: str | None = None
        """Settings to start from: a recipe that ships (native, paper, arface, bu3dfe, celeba, rafd, faces64,
        faces128, photographs64) or a YAML file."""
        resume: Path | None = None
        """Run folder to go on with, exactly where it stopped."""
        system: type(start.system) = field(default_factory=lambda: start.system)  # type: ignore[valid-type]
        data: Data = field(default_factory=lambda: start.data)
        training: Recipe = field(default_factory=lambda: start.training)

    return Train
