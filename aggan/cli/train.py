"""`aggan train [METHOD] --data.x DIR --data.y DIR --out RUN`."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.training.config import TrainingConfig
from aggan.training.launch import is_local_zero, report_once_per_machine

if TYPE_CHECKING:
    from aggan.training.experiment import Experiment

INTERRUPTED = 130
FIXED = ("optimizer", "init_from")
"""Training settings that a resumed run cannot change."""
LENGTHS = ("--training.epochs", "--training.steps", "--training.minutes")


@dataclass
class Options:
    """Train a method: two folders of images in, a run folder out.

    `aggan methods` lists the methods; `aggan train METHOD --help` also lists the settings of one.
    """

    out: Path | None = None
    """Run folder to write."""
    recipe: str | None = None
    """Settings to start from: a recipe that ships (native, paper, arface, bu3dfe, celeba, rafd, faces64,
    faces128, photographs64) or a YAML file."""
    resume: Path | None = None
    """Run folder to resume, exactly where it stopped."""
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def main(argv: list[str]) -> int:
    """Train or resume. Returns 130 if a signal ended the training with everything saved."""
    if argv[:1] in (["-h"], ["--help"]):  # without a method, so torch is not needed
        tyro.cli(Options, args=argv, prog="aggan train [METHOD]")
    with report_once_per_machine():
        experiment, run, resume = _parse(argv)
    from aggan.evaluation.model_selection import choose_score
    from aggan.training.run import train

    console = Console()
    with report_once_per_machine():
        choice = choose_score(experiment.training, experiment.data)
    if experiment.training.score_every and is_local_zero():
        console.print(choice.description, markup=False, highlight=False, soft_wrap=True)
    return 0 if train(experiment, run, console, resume=resume, scorer=choice.scorer) else INTERRUPTED


def _parse(argv: list[str]) -> tuple["Experiment", Path, bool]:
    """What to train, in which folder, and whether to resume there."""
    from aggan.training.experiment import Experiment

    has_method = bool(argv) and not argv[0].startswith("-")
    method, rest = (argv[0], argv[1:]) if has_method else ("aggan", argv)
    early = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    early.add_argument("--recipe", nargs="?")
    early.add_argument("--resume", type=Path, nargs="?")
    known, _ = early.parse_known_args(rest)
    start = Experiment.load(known.resume) if known.resume else Experiment.of(method, known.recipe)
    other_method = has_method and Experiment.of(method, None).method.method != start.method.method
    if known.resume and (known.recipe or other_method):
        raise UserError(f"{known.resume} resumes with its own method and settings: leave out the method and --recipe")
    options = _options(_without_length(start) if _gives_length(rest) else start)
    args = tyro.cli(options, args=rest, prog=f"aggan train {method}", console_outputs=is_local_zero())
    experiment = Experiment(method=args.method, data=args.data, training=args.training)
    if args.resume:
        _require_resumable(experiment, start)
    if args.resume and args.out:
        raise UserError(f"{args.resume} resumes where it is: leave out --out {args.out}")
    run = args.resume or args.out
    if run is None:
        raise UserError("no output folder: pass --out DIR")
    return experiment, run, args.resume is not None


def _require_resumable(experiment: "Experiment", start: "Experiment") -> None:
    """Raise `UserError` if a resumed run would change what it cannot change."""
    if (experiment.method, experiment.data) != (start.method, start.data):
        raise UserError("a resumed run keeps its method and data; only --training settings can change")
    for name in FIXED:
        if getattr(experiment.training, name) != getattr(start.training, name):
            option = name.replace("_", "-")
            raise UserError(f"a resumed run cannot change --training.{option}: leave it out, or start a new run")


def _gives_length(argv: list[str]) -> bool:
    return any(word.split("=")[0] in LENGTHS for word in argv)


def _without_length(start: "Experiment") -> "Experiment":
    """A recipe's minutes do not bound the epochs that the user asks for."""
    return start.model_copy(update={"training": start.training.model_copy(update={"steps": None, "minutes": None})})


def _options(start: "Experiment") -> type:
    """The options with the method's settings among them, and the settings to start from as defaults."""

    @dataclass
    class MethodOptions(Options):
        method: type(start.method) = field(default_factory=lambda: start.method)  # pyright: ignore
        data: DataConfig = field(default_factory=lambda: start.data)
        training: TrainingConfig = field(default_factory=lambda: start.training)

    MethodOptions.__doc__ = Options.__doc__
    return MethodOptions
