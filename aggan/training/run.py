"""One training from its settings to its folder.

RUN/experiment.json    what was asked for
RUN/journal.jsonl      losses, masks, scores, warnings
RUN/samples/           sheets: input, mask, content, output, back again
RUN/checkpoint.pt      the whole state, to go on from
RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from aggan.data.cache import decoded
from aggan.data.datasets import UnpairedPictures
from aggan.data.folders import Data, Domain, find
from aggan.data.images import to_tensor
from aggan.errors import UserError
from aggan.system import Task
from aggan.training.display import Display
from aggan.training.engine import Engine
from aggan.training.experiment import FILE, Experiment
from aggan.training.health import Diverged
from aggan.training.trainer import Score, Trainer

SAMPLES = 4
"""Pictures of each domain on a sample sheet."""
SCORED = 200
"""Held-out pictures of each domain that a score looks at."""

Scorer = Callable[[np.ndarray, np.ndarray], Score]


def train(
    experiment: Experiment, run: Path, console: Console, *, resume: bool = False, scorer: Scorer | None = None
) -> bool:
    """Train in the folder `run`, or go on there; False if a signal ended it early.

    `scorer` makes the score that chooses the best model, if there are held-out pictures.
    Raises `UserError` for whatever the user can mend.
    """
    recipe, data = experiment.training, experiment.data
    split = find(data)
    if not resume and (run / FILE).exists():
        raise UserError(f"{run} already holds a run: go on with --resume {run}, or choose another --out")
    engine = Engine(recipe)
    display = Display(console)
    x, y = _decode(split.train, data, engine, display)
    torch.manual_seed(recipe.seed)
    system = experiment.system.build(Task((split.train[0].name, split.train[1].name), data.size))
    pictures = UnpairedPictures(x, y, recipe.batch, recipe.seed, data.flip, engine.rank, engine.world)
    trainer = Trainer(experiment, system, pictures, engine, run)
    if resume:
        trainer.load()
    if engine.first:
        experiment.save(run)
    shown = _decode(split.test, data, engine, display) if split.test else (x, y)
    score = scorer(*(some[:SCORED] for some in shown)) if scorer and split.test and recipe.score_every else None
    try:
        finished = trainer.run(display, [to_tensor(some[:SAMPLES]) for some in shown], score)
    except Diverged as why:
        raise UserError(
            f"training stopped: {why}. The checkpoint in {run} is from before; "
            f"try a lower --training.learning-rate, or --training.precision 32-true"
        ) from why
    if engine.first and finished:
        display.say(f"Done. Translate with: aggan translate {run} PICTURES --to {system.task.domains[1]} --out DIR")
    elif engine.first:
        display.say(f"Stopped; everything is saved. Go on with: aggan train --resume {run}")
    return finished


def _decode(domains: tuple[Domain, ...], data: Data, engine: Engine, display: Display) -> list[np.ndarray]:
    def skipped(failure: str) -> None:
        display.warn(f"skipped {failure}")

    # The first process decodes, the others wait and then find it done.
    if not engine.first:
        engine.barrier()
    arrays = [decoded(d, data.size, data.strict, skipped if engine.first else lambda _: None) for d in domains]
    if engine.first:
        engine.barrier()
    return arrays
