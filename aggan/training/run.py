"""One training from its settings to its folder.

    RUN/experiment.json    what was asked for
    RUN/journal.jsonl      losses, masks, scores, warnings
    RUN/samples/           sheets: input, mask, content, output, back again
    RUN/checkpoint.pt      the whole state, to go on from
    RUN/last/, RUN/best/   model.safetensors and config.json, to translate with
"""

from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from aggan.batches import Image
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


def train(experiment: Experiment, run: Path, console: Console, resume: bool = False, score: Score | None = None) -> bool:
    """Train in the folder `run`, or go on there; False if a signal ended it early.

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
    try:
        return trainer.run(display, [_first(some) for some in shown], score)
    except Diverged as why:
        raise UserError(
            f"training stopped: {why}. The checkpoint in {run} is from before; "
            f"try a lower --training.learning-rate, or --training.precision 32-true"
        ) from why


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


def _first(pictures: np.ndarray) -> Image:
    return to_tensor(np.asarray(pictures[:SAMPLES]))
