"""One training from its settings to its folder.

RUN/experiment.json    what was asked for
RUN/journal.jsonl      losses, masks, scores, warnings
RUN/samples/           sheets: input, mask, content, output, back again
RUN/checkpoint.pt      the whole state, to go on from
RUN/stopped.txt        why several processes stopped too early, if they did
RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from aggan.data.annotations import with_action_units
from aggan.data.cache import Decoded, decoded
from aggan.data.datasets import BATCHES, Order, Pictures
from aggan.data.folders import Data, Domain, find
from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.io import only_writer
from aggan.methods.base import System, Task
from aggan.nn.activation_checkpointing import save_memory
from aggan.training import checkpoint, failures
from aggan.training.checkpoint import begin_with
from aggan.training.experiment import FILE, Experiment
from aggan.training.fabric import Engine
from aggan.training.failures import one_voice
from aggan.training.launch import launched, one_voice_a_machine
from aggan.training.log import Display
from aggan.training.trainer import Score, Trainer

SAMPLES = 4
"""Pictures of each domain on a sample sheet, or as many as there are of all."""
SCORED = 200
"""Held-out pictures of each domain that a score looks at."""
LEAST = 2
"""Fewer held-out pictures of a domain have no spread to score."""
PREPARED = 900
"""Batches that a system may look at before the training begins (DistanceGAN)."""

Scorer = Callable[[list[np.ndarray]], Score]


def train(
    experiment: Experiment, run: Path, console: Console, *, resume: bool = False, scorer: Scorer | None = None
) -> bool:
    """Train in the folder `run`, or go on there; False if a signal ended it early.

    `scorer` makes the score that chooses the best model, if there are held-out pictures.
    Raises `UserError` for whatever the user can mend.
    """
    with one_voice_a_machine():
        engine = Engine(experiment.training)
    display = Display(console)
    goes_on = engine.together(lambda: _goes_on(experiment, run, resume))
    split = engine.together(lambda: find(experiment.data))
    warn = display.warn if engine.first else lambda _: None
    learned = _decode(split.train, experiment.data, engine, warn)
    held_out = _decode(split.test, experiment.data, engine, warn, least=1)
    score = _score(held_out, scorer, warn) if scorer and experiment.training.score_every else None
    rows = min(SAMPLES, *(len(domain) for domain in held_out or learned))
    shown = [to_tensor(domain.pixels[:rows]) for domain in held_out or learned]
    learner = engine.together(lambda: _learner(experiment, learned, engine))
    with ExitStack() as held:
        engine.together(lambda: held.enter_context(only_writer(run)) if engine.first else None)
        trainer = Trainer(experiment, *learner, engine, run)
        _begin(trainer, goes_on)
        if engine.first and resume and not goes_on:
            display.say(f"Nothing was saved in {run} yet: the training begins anew")
        with one_voice(run, alone=engine.world == 1):
            finished = trainer.run(display, shown, score)
    if engine.first and finished:
        display.say(f"Done. Translate with: aggan translate {run} PICTURES --to {trainer.system.targets[-1]} --out DIR")
    elif engine.first:
        display.say(f"Stopped; everything is saved. Go on with: aggan train --resume {run}")
    return finished


def _score(held_out: list[Decoded], scorer: Scorer, warn: Callable[[str], None]) -> Score | None:
    """The score on held-out pictures; None where there are too few."""
    if not held_out or min(map(len, held_out)) < LEAST:
        warn(f"nothing is scored, and no best/ is kept: there are no {LEAST} held-out pictures a domain")
        return None
    return scorer([domain.pixels[:SCORED] for domain in held_out])


def _goes_on(experiment: Experiment, run: Path, asked: bool) -> bool:
    """Whether to go on in `run`; a command that its launcher starts again goes on with what it began.

    What ended before it saved anything begins anew.
    """
    held, by = (run / FILE).exists(), launched()
    if held and not any((run / saved).exists() for saved in (checkpoint.FILE, "last")):
        return False
    begun = held and by is not None and by.again and Experiment.load(run) == experiment
    if held and not (asked or begun):
        raise UserError(f"{run} already holds a run: go on with --resume {run}, or choose another --out")
    return asked or (begun and (run / checkpoint.FILE).exists())


def _begin(trainer: Trainer, resume: bool) -> None:
    """Begin the run's folder, or go on where it stopped."""
    experiment, system, engine, run = trainer.experiment, trainer.system, trainer.engine, trainer.folder

    def begin() -> None:
        if resume:
            trainer.load()
        else:
            if experiment.training.begin_with:
                begin_with(experiment.training.begin_with, system)
            system.prepare(trainer.data.at(step) for step in range(PREPARED))
        if engine.first:
            experiment.save(run)
            (run / failures.FILE).unlink(missing_ok=True)

    engine.together(begin)


def _learner(experiment: Experiment, domains: list[Decoded], engine: Engine) -> tuple[System, Pictures]:
    recipe, data = experiment.training, experiment.data
    learned = with_action_units(domains) if experiment.system.codes else domains
    experiment.system.require_batch(recipe.batch)
    torch.manual_seed(recipe.seed)
    system = experiment.system.build(task_of(learned, data.size))
    if recipe.recompute and not save_memory(system):
        raise UserError(f"{experiment.system.system} has no layers to compute twice: leave out --training.recompute")
    order = Order(recipe.batch, recipe.seed, data.flip, engine.rank, engine.world)
    return system, BATCHES[system.batch_type](learned, order)


def task_of(domains: Sequence[Decoded], size: int) -> Task:
    """The task that the decoded domains set."""
    codes = tuple(tuple(d.codes.mean(0).tolist()) for d in domains if d.codes is not None)
    return Task(tuple(domain.name for domain in domains), size, codes)


def _decode(
    domains: tuple[Domain, ...], data: Data, engine: Engine, warn: Callable[[str], None], least: int = 2
) -> list[Decoded]:
    def skipped(failure: str) -> None:
        warn(f"skipped {failure}")

    return engine.in_turns(lambda: [decoded(d, data.size, data.strict, skipped, least) for d in domains])
