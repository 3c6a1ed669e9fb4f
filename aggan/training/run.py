"""One training, from its settings to its run folder.

RUN/experiment.json    all settings
RUN/journal.jsonl      losses, masks, scores, warnings
RUN/samples/           sample sheets: input, mask, content, translation, reconstruction
RUN/checkpoint.pt      the whole state, to resume from
RUN/stopped.txt        why a training of several processes stopped early
RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from jaxtyping import UInt8
from numpy import ndarray
from rich.console import Console

from aggan.data.annotations import with_action_units
from aggan.data.cache import DecodedDomain, decode_domain
from aggan.data.datasets import DATASETS, Dataset, Sampler
from aggan.data.folders import DataConfig, Domain, find
from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.io import exclusive_lock
from aggan.methods.base import Method, Task
from aggan.nn.activation_checkpointing import enable_checkpointing
from aggan.training import checkpoint, failures
from aggan.training.experiment import FILE, Experiment
from aggan.training.fabric import Engine
from aggan.training.launch import detect_launcher, report_once_per_machine
from aggan.training.log import Display
from aggan.training.trainer import Score, Trainer
from aggan.types import Needs

SAMPLES = 4
"""Images per domain on a sample sheet; fewer if there are fewer."""
SCORED = 200
"""At most this many test images per domain are scored."""
FEWEST_SCORED = 2
"""Fewer test images per domain have no covariance to compare."""
PREPARATION_BATCHES = 900
"""Batches for `Method.prepare`."""

Scorer = Callable[[list[UInt8[ndarray, "n size size 3"]]], Score]
"""From the test images of each domain to the score that chooses the best model."""


def train(
    experiment: Experiment, run: Path, console: Console, *, resume: bool = False, scorer: Scorer | None = None
) -> bool:
    """Train in the folder `run`, or resume there. Returns False if a signal ended the training early.

    `scorer` is used if there are test images. Raises `UserError` for whatever the user can correct.
    """
    with report_once_per_machine():
        engine = Engine(experiment.training)
    display = Display(console)
    resuming = engine.run_together(lambda: _is_resumed(experiment, run, resume))
    split = engine.run_together(lambda: find(experiment.data))
    warn = display.warn if engine.is_global_zero else lambda _: None
    training_set = _decode(split.train, experiment.data, engine, warn)
    test_set = _decode(split.test, experiment.data, engine, warn, at_least=1)
    score = _score(test_set, scorer, warn) if scorer and experiment.training.score_every else None
    rows = min(SAMPLES, *(len(domain) for domain in test_set or training_set))
    samples = [to_tensor(domain.pixels[:rows]) for domain in test_set or training_set]
    method, dataset = engine.run_together(lambda: _method_and_dataset(experiment, training_set, engine))
    with ExitStack() as stack:
        engine.run_together(lambda: stack.enter_context(exclusive_lock(run)) if engine.is_global_zero else None)
        trainer = Trainer(experiment, method, dataset, engine, run)
        _start(trainer, resuming)
        if engine.is_global_zero and resume and not resuming:
            display.print(f"Nothing was saved in {run} yet: the training starts from the beginning")
        with failures.report_once(run, alone=engine.world_size == 1):
            finished = trainer.run(display, samples, score)
    if engine.is_global_zero and finished:
        display.print(f"Done. Translate with: aggan translate {run} IMAGES --to {method.targets[-1]} --out DIR")
    elif engine.is_global_zero:
        display.print(f"Stopped; everything is saved. Resume with: aggan train --resume {run}")
    return finished


def _score(test_set: list[DecodedDomain], scorer: Scorer, warn: Callable[[str], None]) -> Score | None:
    if not test_set or min(map(len, test_set)) < FEWEST_SCORED:
        warn(f"no scores and no best/: each domain needs at least {FEWEST_SCORED} test images")
        return None
    return scorer([domain.pixels[:SCORED] for domain in test_set])


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


def _start(trainer: Trainer, resume: bool) -> None:
    """Start the run folder, or load its checkpoint."""
    experiment, method, engine, run = trainer.experiment, trainer.method, trainer.engine, trainer.folder

    def start() -> None:
        if resume:
            trainer.load()
        else:
            if experiment.training.init_from:
                checkpoint.init_from(experiment.training.init_from, method)
            method.prepare(trainer.dataset.batch(step) for step in range(PREPARATION_BATCHES))
        if engine.is_global_zero:
            experiment.save(run)
            (run / failures.FILE).unlink(missing_ok=True)

    engine.run_together(start)


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
    sampler = Sampler(training.batch, training.seed, data.flip, engine.rank, engine.world_size)
    return method, DATASETS[needs](domains, sampler)


def task_of(domains: Sequence[DecodedDomain], size: int) -> Task:
    """The task that decoded domains define."""
    codes = tuple(tuple(d.codes.mean(0).tolist()) for d in domains if d.codes is not None)
    return Task(tuple(domain.name for domain in domains), size, codes)


def _decode(
    domains: tuple[Domain, ...], data: DataConfig, engine: Engine, warn: Callable[[str], None], at_least: int = 2
) -> list[DecodedDomain]:
    def skipped(failure: str) -> None:
        warn(f"skipped {failure}")

    return engine.run_in_turns(lambda: [decode_domain(d, data.size, data.strict, skipped, at_least) for d in domains])
