"""One training from its settings to its folder.

RUN/experiment.json    what was asked for
RUN/journal.jsonl      losses, masks, scores, warnings
RUN/samples/           sheets: input, mask, content, output, back again
RUN/checkpoint.pt      the whole state, to go on from
RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from aggan.data.annotations import with_action_units
from aggan.data.cache import Decoded, decoded
from aggan.data.datasets import BATCHES, Order
from aggan.data.folders import Data, Domain, find
from aggan.data.images import to_tensor
from aggan.errors import UserError
from aggan.networks.recompute import save_memory
from aggan.system import System, Task
from aggan.systems.files import CONFIG, load_model
from aggan.training.display import Display
from aggan.training.engine import Engine
from aggan.training.experiment import FILE, Experiment
from aggan.training.health import Diverged
from aggan.training.trainer import Score, Trainer

SAMPLES = 4
"""Pictures of each domain on a sample sheet."""
SCORED = 200
"""Held-out pictures of each domain that a score looks at."""
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
    split = find(experiment.data)
    if not resume and (run / FILE).exists():
        raise UserError(f"{run} already holds a run: go on with --resume {run}, or choose another --out")
    engine, display = Engine(experiment.training), Display(console)
    learned = _decode(split.train, experiment.data, engine, display)
    trainer = _begin(experiment, learned, engine, run, resume)
    held_out = _decode(split.test, experiment.data, engine, display) if split.test else None
    shown = [domain.pixels for domain in held_out or learned]
    scored = scorer and held_out and experiment.training.score_every
    score = scorer([some[:SCORED] for some in shown]) if scorer and scored else None
    try:
        finished = trainer.run(display, [to_tensor(some[:SAMPLES]) for some in shown], score)
    except Diverged as why:
        raise UserError(
            f"training stopped: {why}. The checkpoint in {run} is from before; "
            f"try a lower --training.learning-rate, or --training.precision 32-true"
        ) from why
    if engine.first and finished:
        display.say(f"Done. Translate with: aggan translate {run} PICTURES --to {trainer.system.targets[-1]} --out DIR")
    elif engine.first:
        display.say(f"Stopped; everything is saved. Go on with: aggan train --resume {run}")
    return finished


def _begin(experiment: Experiment, domains: list[Decoded], engine: Engine, run: Path, resume: bool) -> Trainer:
    """The trainer of a new system, or of one that goes on where its run stopped."""
    recipe, data = experiment.training, experiment.data
    learned = with_action_units(domains) if experiment.system.codes else domains
    experiment.system.require_batch(recipe.batch)
    torch.manual_seed(recipe.seed)
    system = experiment.system.build(task_of(learned, data.size))
    if recipe.recompute and not save_memory(system):
        raise UserError(f"{experiment.system.system} has no layers to compute twice: leave out --training.recompute")
    order = Order(recipe.batch, recipe.seed, data.flip, engine.rank, engine.world)
    pictures = BATCHES[system.batch_type](learned, order)
    trainer = Trainer(experiment, system, pictures, engine, run)
    if resume:
        trainer.load()
    else:
        if recipe.begin_with:
            _begin_with(recipe.begin_with, system)
        system.prepare(pictures.at(step) for step in range(PREPARED))
    if engine.first:
        experiment.save(run)
    return trainer


def _begin_with(model: Path, system: System) -> None:
    """Take over the translators of a model; raises `UserError` where they are of another make."""
    folders = [folder for folder in (model, model / "best", model / "last") if (folder / CONFIG).is_file()]
    if not folders:
        raise UserError(f"--training.begin-with {model}: no model here")
    state = load_model(folders[0])[0].translators_state()
    try:
        system.load_translators(state)
    except RuntimeError as why:
        first = str(why).splitlines()[1].strip() if "\n" in str(why) else str(why)
        raise UserError(
            f"--training.begin-with {model}: its networks differ from those to be trained: {first}"
        ) from why


def task_of(domains: Sequence[Decoded], size: int) -> Task:
    """The task that the decoded domains set."""
    codes = tuple(tuple(d.codes.mean(0).tolist()) for d in domains if d.codes is not None)
    return Task(tuple(domain.name for domain in domains), size, codes)


def _decode(domains: tuple[Domain, ...], data: Data, engine: Engine, display: Display) -> list[Decoded]:
    def skipped(failure: str) -> None:
        display.warn(f"skipped {failure}")

    # The first process decodes, the others wait and then find it done.
    if not engine.first:
        engine.barrier()
    found = [decoded(d, data.size, data.strict, skipped if engine.first else lambda _: None) for d in domains]
    if engine.first:
        engine.barrier()
    return found
