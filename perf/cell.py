"""Seconds of some steps of `aggan-released` on the CPU, one thread a process: a row of benchmarks/scale.py, as JSON.

python benchmarks/cell.py SIZE BATCH PROCESSES STEPS
"""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import nn

from aggan.data.cache import Decoded
from aggan.data.datasets import Order, UnpairedPictures
from aggan.methods.base import Task
from aggan.methods.registry import RELEASED
from aggan.training.config import Recipe
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.trainer import Trainer

PADDED = RELEASED.model_copy(update={"discriminator_padding": 1})


class Timed(Engine):
    """Knows how long it shared gradients."""

    sharing = 0.0

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        began = time.perf_counter()
        super().share_gradients(parameters)
        self.sharing += time.perf_counter() - began


def main(size: int, batch: int, processes: int, steps: int) -> None:
    recipe = Recipe(accelerator="cpu", threads=1, devices=processes, batch=batch)
    engine, random = Timed(recipe), np.random.default_rng(0)
    x, y = (random.integers(0, 256, (16, size, size, 3), dtype=np.uint8) for _ in range(2))
    domains = [Decoded(name, (Path(name),) * len(some), some) for name, some in (("x", x), ("y", y))]
    pictures = UnpairedPictures(domains, Order(batch, 0, True, engine.rank, engine.world))
    system = PADDED.build(Task(("x", "y"), size))
    trainer = Trainer(Experiment(system=PADDED, training=recipe), system, pictures, engine, Path())
    trainer.step()  # the first one also allocates
    seconds, sharing = [], []
    for _ in range(steps):
        began, engine.sharing = time.perf_counter(), 0.0
        trainer.step()
        seconds.append(time.perf_counter() - began)
        sharing.append(engine.sharing)
    if engine.first:
        print(json.dumps({"seconds": seconds, "sharing": sharing, "memory": engine.peak_memory()}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
