"""One training, from its settings to its run folder.

RUN/experiment.json    all settings
RUN/journal.jsonl      losses, masks, scores, warnings
RUN/samples/           sample sheets: input, mask, content, translation, reconstruction
RUN/checkpoint.pt      the whole state, to resume from
RUN/stopped.txt        why a training of several processes stopped early
RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
RUN/models/step-N/     models of earlier steps, the last `training.keep` of them
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image as Pillow
from rich.console import Console

from aggan.data.annotations import with_action_units
from aggan.data.cache import DecodedDomain, decode_domain
from aggan.data.datasets import DATASETS, Dataset, Sampler
from aggan.data.folders import DataConfig, Domain, Split, find, require_outside
from aggan.errors import UserError
from aggan.images.convert import square, to_tensor
from aggan.io import exclusive_lock, require_output_folder
from aggan.methods.base import Method, Task
from aggan.methods.pretrained import CONFIG, read_card
from aggan.nn.activation_checkpointing import enable_checkpointing
from aggan.training import checkpoint, failures
from aggan.training.config import TrainingConfig
from aggan.training.experiment import FILE, Experiment
from aggan.training.fabric import Engine
from aggan.training.fingerprint import Fingerprint, differences, fingerprint
from aggan.training.launch import detect_launcher, report_once_per_machine
from aggan.training.log import Display
from aggan.training.samples import ROWS
from aggan.training.summary import (
    LABEL,
    describe_data,
    describe_device,
    describe_length,
    describe_method,
    describe_run,
)
from aggan.training.trainer import Score, Trainer
from aggan.types import Needs

SCORED = 200
"""At most this many test images per domain are scored."""
FEWEST_SCORED = 2
"""Fewer test images per domain have no covariance to compare."""
PREPARATION_BATCHES = 900
"""Batches for `Method.prepare`."""

Scorer = Callable[[list[UInt8[ndarray, "n size size 3"]]], Score]
"""From the test images of each domain to the score that chooses the best model."""

FindAlignment = Callable[[list[UInt8[ndarray, "n size size 3"]]], tuple[tuple[float, float], ...]]
"""From the training images of each domain to `ModelCard.face`."""


def train(
    experiment: Experiment,
    run: Path,
    console: Console,
    *,
    resume: bool = False,
    scorer: Scorer | None = None,
    find_alignment: FindAlignment | None = None,
) -> bool:
    """Train in the folder `run`, or resume there. Returns False if a signal ended the training early.

    `scorer` is used if there are test images. Without `find_alignment` the model's card has no `face`. Raises
    `UserError` for whatever the user can correct.
    """
    with report_once_per_machine():
        engine = Engine(experiment.training)
    display = Display(console if engine.is_global_zero else Console(quiet=True))
    resuming = engine.run_together(lambda: _is_resumed(experiment, run, resume))
    split = engine.run_together(lambda: _find_images(experiment.data, run, resuming))
    display.print_block(describe_data(split), LABEL)
    data = experiment.data
    training_set = _decode(split.train, data, data.training_side, engine, display)
    test_set = _decode(split.test, data, data.size, engine, display, at_least=1)
    score = _score(test_set, scorer, display.warn) if scorer and experiment.training.score_every else None
    rows = min(ROWS, *(len(domain) for domain in test_set or training_set))
    samples = [to_tensor(_resized(domain.pixels[:rows], data.size)) for domain in test_set or training_set]
    method, dataset = engine.run_together(lambda: _method_and_dataset(experiment, training_set, engine))
    with ExitStack() as stack:
        engine.run_together(lambda: stack.enter_context(exclusive_lock(run)) if engine.is_global_zero else None)
        trainer = Trainer(experiment, method, dataset, engine, run)
        notes = _start(trainer, resuming)
        if engine.is_global_zero and find_alignment:
            trainer.face = _saved_alignment(run) or find_alignment([domain.pixels for domain in training_set])
        block = [
            *describe_method(experiment.method, method),
            *describe_device(engine),
            *describe_length(experiment.training, dataset.steps_per_epoch, trainer.steps, trainer.shift),
            *describe_run(run),
        ]
        display.print_block(block, LABEL)
        for note in notes:
            display.print(note)
        if resume and not resuming:
            display.print(f"Nothing was saved in {run} yet: the training starts from the beginning")
        with failures.report_once(run, alone=engine.world_size == 1):
            finished = trainer.run(display, samples, score)
    if finished:
        display.print(f"Done. Translate with: aggan translate {run} IMAGES --to {method.targets[-1]} --out DIR")
    else:
        display.print(f"Stopped; everything is saved. Resume with: aggan train --resume {run}")
    if display.closed:
        raise BrokenPipeError
    return finished


def _find_images(data: DataConfig, run: Path, resuming: bool) -> Split:
    """The images of a training that is about to write to `run`."""
    if not resuming:
        require_outside(data, run)
    require_output_folder(run, "--resume" if resuming else "--out")
    try:
        return find(data)
    except UserError as error:
        if not resuming:
            raise
        hint = "if the images were moved, pass their folder with --data.root, --data.pairs, or --data.x and --data.y"
        raise UserError(f"{error}; {hint}") from error


def _score(test_set: list[DecodedDomain], scorer: Scorer, warn: Callable[[str], None]) -> Score | None:
    if not test_set or min(map(len, test_set)) < FEWEST_SCORED:
        warn(f"no scores and no best/: each domain needs at least {FEWEST_SCORED} test images")
        return None
    return scorer([domain.pixels[:SCORED] for domain in test_set])


def _saved_alignment(run: Path) -> tuple[tuple[float, float], ...]:
    """The alignment in the card of the run's last model; empty if there is none."""
    card = run / "last" / CONFIG
    return read_card(card).face if card.is_file() else ()


def _is_resumed(experiment: Experiment, run: Path, requested: bool) -> bool:
    """Whether to resume in `run`: on request, or if the launcher restarts the command that started it.

    A run that stopped before it saved anything starts from the beginning.
    """
    exists, launch = (run / FILE).exists(), detect_launcher()
    if exists and not any((run / saved).exists() for saved in (checkpoint.FILE, "last")):
        return False
    restarted = exists and launch is not None and launch.restarted and Experiment.load(run) == experiment
    if exists and not (requested or restarted):
        raise UserError(f"{run} already holds a run: resume it with --resume {run}, or choose another --out")
    return requested or (restarted and (run / checkpoint.FILE).exists())


def _start(trainer: Trainer, resume: bool) -> list[str]:
    """Start the run folder, or load its checkpoint. Returns what a user should know about a resumed run."""
    experiment, method, engine, run = trainer.experiment, trainer.method, trainer.engine, trainer.folder

    def start() -> list[str]:
        notes: list[str] = []
        if resume:
            trainer.load()
        else:
            if experiment.training.init_from:
                checkpoint.init_from(experiment.training.init_from, method)
            method.prepare(trainer.dataset.batch(step) for step in range(PREPARATION_BATCHES))
        if engine.is_global_zero:
            images = fingerprint(trainer.dataset)
            if resume:
                previous = Experiment.load(run)
                notes = [*_data_changes(previous.data, trainer, images), *_schedule_changes(previous.training, trainer)]
            trainer.images = images
            experiment.save(run)
            (run / failures.FILE).unlink(missing_ok=True)
        return notes

    return engine.run_together(start)


def _data_changes(previous: DataConfig, trainer: Trainer, images: Fingerprint) -> Iterator[str]:
    """What is different in the images of a resumed run. Raises `UserError` if its data were moved and differ."""
    changes = "; ".join(differences(trainer.images, images))
    if trainer.experiment.data == previous:
        if changes:
            yield f"The images have changed since the run was saved ({changes}): it continues with the current images"
    elif changes:
        raise UserError(
            f"these are not the images that {trainer.folder} has learned from ({changes}): "
            "name the folder to which those were moved, or start a new run"
        )
    elif not trainer.images:
        yield "The run was saved by an earlier aggan, so nothing tells whether these are the images it learned from"
    else:
        yield "The images are in another place and otherwise the same: the training continues exactly"


def _schedule_changes(previous: TrainingConfig, trainer: Trainer) -> Iterator[str]:
    """How other settings of a resumed run change its length and learning rate."""
    before, now = (trainer.learning_rate(config) for config in (previous, trainer.config))
    if trainer.fraction_done() >= 1:
        yield "The run has finished: for more of it, raise --training.epochs, --training.steps or --training.minutes"
    elif now > before:
        yield f"The learning rate rises from {before:.3g} to {now:.3g}, as the new settings have it here"


def _method_and_dataset(experiment: Experiment, domains: list[DecodedDomain], engine: Engine) -> tuple[Method, Dataset]:
    training, data, needs = experiment.training, experiment.data, experiment.method.needs
    if needs is Needs.ACTION_UNITS:
        domains = with_action_units(domains)
    experiment.method.require_batch(training.batch)
    torch.manual_seed(training.seed)
    method = experiment.method.build(task_of(domains, data.size))
    if training.activation_checkpointing and not enable_checkpointing(method):
        raise UserError(
            f"{experiment.method.method} has no layers to compute twice: leave out --training.activation-checkpointing"
        )
    sampler = Sampler(
        training.batch, training.seed, data.flip, engine.rank, engine.world_size, data.balance, data.margin
    )
    return method, DATASETS[needs](domains, sampler)


def task_of(domains: Sequence[DecodedDomain], size: int) -> Task:
    """The task that decoded domains define."""
    codes = tuple(tuple(d.codes.mean(0).tolist()) for d in domains if d.codes is not None)
    return Task(tuple(domain.name for domain in domains), size, codes)


def _resized(images: UInt8[ndarray, "n side side 3"], size: int) -> UInt8[ndarray, "n {size} {size} 3"]:
    """Whole images at the size of the crops."""
    return np.stack([square(Pillow.fromarray(image), size) for image in images])


def _decode(
    domains: tuple[Domain, ...], data: DataConfig, size: int, engine: Engine, display: Display, at_least: int = 2
) -> list[DecodedDomain]:
    def skipped(failure: str) -> None:
        display.warn(f"skipped {failure}")

    def decode() -> list[DecodedDomain]:
        decoded = []
        for domain in domains:
            with display.counting(f"decoding the images of {domain.name}") as count:
                decoded.append(decode_domain(domain, size, data.strict, skipped, at_least, count))
        return decoded

    return engine.run_in_turns(decode)
