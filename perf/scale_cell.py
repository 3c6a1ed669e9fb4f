"""Time steps of `aggan-released` on the CPU, one thread per process: one row of `perf/scale.py`, as JSON.

python perf/scale_cell.py SIZE BATCH PROCESSES STEPS
"""

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import nn

from aggan.data.cache import DecodedDomain
from aggan.data.datasets import Sampler, UnpairedDataset
from aggan.methods.base import Task
from aggan.methods.registry import RELEASED
from aggan.training.config import TrainingConfig
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.trainer import Trainer

PADDED = RELEASED.model_copy(update={"discriminator_padding": 1})
"""As released, the discriminators have no padding and need 94 px."""


class TimedEngine(Engine):
    """Adds up the seconds of the all-reduces."""

    all_reduce_seconds = 0.0

    def all_reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        start = time.perf_counter()
        super().all_reduce_gradients(parameters)
        self.all_reduce_seconds += time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("size", "batch", "processes", "steps"):
        parser.add_argument(name, type=int, metavar=name.upper())
    args = parser.parse_args()
    config = TrainingConfig(accelerator="cpu", threads=1, devices=args.processes, batch=args.batch)
    engine, random = TimedEngine(config), np.random.default_rng(0)
    domains = [
        DecodedDomain(name, (Path(name),) * 16, random.integers(0, 256, (16, args.size, args.size, 3), dtype=np.uint8))
        for name in ("x", "y")
    ]
    dataset = UnpairedDataset(domains, Sampler(args.batch, 0, True, engine.rank, engine.world_size))
    method = PADDED.build(Task(("x", "y"), args.size))
    trainer = Trainer(Experiment(method=PADDED, training=config), method, dataset, engine, Path())
    trainer.step()  # the first step also allocates
    seconds, all_reduce_seconds = [], []
    for _ in range(args.steps):
        start, engine.all_reduce_seconds = time.perf_counter(), 0.0
        trainer.step()
        seconds.append(time.perf_counter() - start)
        all_reduce_seconds.append(engine.all_reduce_seconds)
    if engine.is_global_zero:
        print(json.dumps({"seconds": seconds, "all_reduce": all_reduce_seconds, "memory": engine.peak_memory()}))


if __name__ == "__main__":
    main()
