"""`aggan train [METHOD] --data.x DIR --data.y DIR --out RUN`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from pydantic import ValidationError
from rich.console import Console

from aggan.cli.data_options import require_folders
from aggan.cli.option_groups import OptionGroup, add_options, group_of, option_errors, settings_of
from aggan.data.folders import DataConfig
from aggan.errors import UserError
from aggan.training.config import TrainingConfig
from aggan.training.launch import is_local_zero, report_once_per_machine

if TYPE_CHECKING:
    from aggan.training.experiment import Experiment

INTERRUPTED = 130
FIXED = ("optimizer", "init_from")
"""Training settings that a resumed run cannot change."""
PLACES = ("root", "pairs", "x", "y")
"""Data settings that say where the images are. A resumed run can change them, and the names, which may be folders'."""
LENGTHS = ("--training.epochs", "--training.steps", "--training.minutes")
SIZE, LOAD_SIZE = "--data.size", "--data.load-size"
"""Another size on the command line keeps a recipe's ratio of the two."""
TRAINING_GROUPS = {
    "length": (
        "How long. The defaults are the paper's (Sec. IV-A) for AR Face, Bu3dfe and RaFD. A length in steps or minutes "
        "replaces the epochs, and the learning rate decays over the same fraction of it. A length on the command line "
        "replaces the recipe's.",
        ("epochs", "decay_after", "steps", "minutes", "processor_time"),
    ),
    "learning": (
        "How fast, from what start, and how discriminators are kept from overfitting.",
        (
            "batch",
            "optimizer",
            "learning_rate",
            "betas",
            "weight_decay",
            "ema",
            "augment",
            "augment_target",
            "r1",
            "seed",
            "init_from",
        ),
    ),
    "hardware": (
        "On what. Several machines: docs/scale.md.",
        ("accelerator", "devices", "timeout", "precision", "threads", "activation_checkpointing"),
    ),
    "output": (
        "What the run folder gets, and when.",
        ("journal_every", "save_every", "keep", "sample_every", "score", "classifier", "score_every"),
    ),
}
"""Groups of training settings: what they are about, and their names."""


@dataclass
class Options:
    """Train a method: two folders of images in, a run folder out.

    `aggan methods` lists the methods; `aggan train METHOD --help` also lists the settings of one.
    """

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="", help="Run folder to write.")] = None
    recipe: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="NAME|FILE",
            help_behavior_hint="",
            help="Settings to start from: a recipe that ships (native, paper, arface, bu3dfe, celeba, rafd, faces64, "
            "faces128, photographs64) or a YAML file.",
        ),
    ] = None
    resume: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="DIR",
            help_behavior_hint="",
            help="Run folder to resume, exactly where it stopped. Settings of the training may change, and the folders "
            "of images that were moved.",
        ),
    ] = None


def main(argv: list[str]) -> int:
    """Train or resume. Returns 130 if a signal ended the training with everything saved."""
    if argv[:1] in (["-h"], ["--help"]):  # without a method, so torch is not needed
        tyro.cli(add_options(Options, _groups(DataConfig(), TrainingConfig())), args=argv, prog="aggan train [METHOD]")
    with report_once_per_machine():
        require_folders(argv)  # first, as importing torch takes seconds
        experiment, run, resume = _parse(argv)
    from aggan.evaluation.classifier_choice import absolute
    from aggan.evaluation.model_selection import choose_score
    from aggan.inference.alignment import measure_alignment
    from aggan.training.run import train

    console, scorer = Console(), None
    if experiment.training.classifier:  # the run can be resumed from another working directory
        training = experiment.training.model_copy(update={"classifier": absolute(experiment.training.classifier)})
        experiment = experiment.model_copy(update={"training": training})
    with report_once_per_machine():
        if experiment.training.score_every:
            description, scorer = choose_score(experiment.training, experiment.data)
            if is_local_zero():
                console.print(description, markup=False, highlight=False, soft_wrap=True)
        elif experiment.training.score not in (None, "none") or experiment.training.classifier:
            raise UserError("nothing is scored without an interval: set --training.score-every N")
    finished = train(experiment, run, console, resume=resume, scorer=scorer, find_alignment=measure_alignment)
    return 0 if finished else INTERRUPTED


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
    groups = _groups_of(_without_length(start) if _gives(rest, *LENGTHS) else start)
    args = tyro.cli(
        add_options(Options, groups), args=rest, prog=f"aggan train {method}", console_outputs=is_local_zero()
    )
    sections = settings_of(args, groups)
    sections["method"] = start.method.model_dump(include={"method"}) | sections["method"]
    if args.resume:
        sections["data"] = _moved(start.data, sections["data"])
    if start.data.load_size and _gives(rest, SIZE) and not _gives(rest, LOAD_SIZE):
        sections["data"]["load_size"] = round(start.data.load_size * sections["data"]["size"] / start.data.size)
    try:
        experiment = Experiment.model_validate(sections)
    except ValidationError as error:
        raise option_errors(error, {"method": start.method.method}) from error
    if args.resume:
        _require_resumable(experiment, start)
    if args.resume and args.out:
        raise UserError(f"{args.resume} resumes where it is: leave out --out {args.out}")
    run = args.resume or args.out
    if run is None:
        raise UserError("no output folder: pass --out DIR")
    return experiment, run, args.resume is not None


def _moved(start: DataConfig, data: dict[str, Any]) -> dict[str, Any]:
    """The data settings of a resumed run; places on the command line replace those where the images were."""
    changed = [name for name in PLACES if data[name] and data[name].absolute() != getattr(start, name)]
    if not changed:
        return data
    kept = {"x", "y"} if {"x", "y"} & set(changed) else set(changed)
    return data | dict.fromkeys(set(PLACES) - kept)


def _require_resumable(experiment: "Experiment", start: "Experiment") -> None:
    """Raise `UserError` if a resumed run would change what it cannot change."""
    movable = {*PLACES, "names"}
    data, start_data = (settings.data.model_dump(exclude=movable) for settings in (experiment, start))
    if (experiment.method, data) != (start.method, start_data):
        raise UserError(
            "a resumed run keeps its method and data; only --training settings can change, and where the images are"
        )
    for name in FIXED:
        if getattr(experiment.training, name) != getattr(start.training, name):
            option = name.replace("_", "-")
            raise UserError(f"a resumed run cannot change --training.{option}: leave it out, or start a new run")


def _gives(argv: list[str], *options: str) -> bool:
    return any(word.split("=")[0].replace("_", "-") in options for word in argv)


def _without_length(start: "Experiment") -> "Experiment":
    """A recipe's minutes do not bound the epochs that the user asks for."""
    return start.model_copy(update={"training": start.training.model_copy(update={"steps": None, "minutes": None})})


def _groups_of(start: "Experiment") -> list[OptionGroup]:
    """All options, with the settings to start from as defaults."""
    return [*group_of("method", start.method), *_groups(start.data, start.training)]


def _groups(data: DataConfig, training: TrainingConfig) -> list[OptionGroup]:
    """The options of every method."""
    return [
        *group_of("data", data),
        *(
            OptionGroup(title, "training", training, names, description)
            for title, (description, names) in TRAINING_GROUPS.items()
        ),
    ]
