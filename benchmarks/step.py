"""One training step of `aggan-released` at 256x256, batch 1: as this package takes it, and the plain way.

    python benchmarks/step.py --steps 5 --precision auto

The plain way: fp32, contiguous memory, two identity passes that no loss uses, discriminators that also
collect gradients in the generators' turn, one unfused Adam for both generators and one a discriminator. The two
sides take their steps in turn, in one process; the figure is the ratio of each pair. The ceiling is the rate of a
large 3x3 convolution in the same run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from aggan.batches import Unpaired
from aggan.data.cache import Decoded
from aggan.data.datasets import Order, UnpairedPictures
from aggan.system import Clock, Task
from aggan.systems.aggan import AttentionGuided
from aggan.systems.catalogue import RELEASED
from aggan.training.engine import Engine
from aggan.training.experiment import Experiment
from aggan.training.recipe import Recipe
from aggan.training.trainer import Trainer

SIZE = 256


class Plain:
    """The step as one would write it first."""

    def __init__(self, system: AttentionGuided) -> None:
        self.system = system
        generators = [*system.G_xy.parameters(), *system.G_yx.parameters()]
        self.optimizers = [
            torch.optim.Adam(parameters, 1e-4, (0.5, 0.999), foreach=False)
            for parameters in (generators, system.D_x.parameters(), system.D_y.parameters())
        ]

    def step(self, batch: Unpaired) -> None:
        system = self.system
        made = system(batch)
        system.G_xy(batch.y), system.G_yx(batch.x)
        self._descend(self.optimizers[:1], system.generator_loss(batch, made))
        self._descend(self.optimizers[1:], system.discriminator_loss(batch, made))

    def _descend(self, optimizers: list[torch.optim.Adam], terms: dict[str, torch.Tensor]) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        for optimizer in optimizers:
            optimizer.step()


def ceiling(kind: torch.dtype) -> float:
    """GFLOP/s of a 256-channel 3x3 convolution at 64x64."""
    x = torch.randn(1, 256, 64, 64, dtype=kind).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, dtype=kind).to(memory_format=torch.channels_last)
    return 2 * 9 * 256 * 256 * 64 * 64 / seconds(lambda: F.conv2d(x, weight, padding=1), 20) / 1e9


def seconds(call: Callable[[], object], times: int) -> float:
    call()
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=5)
    options.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    asked = options.parse_args()
    ours, pictures = trainer(asked.precision)
    plain = Plain(RELEASED.build(Task(("x", "y"), SIZE)))  # type: ignore[arg-type]
    plain.system.clock = Clock(0, 1000)
    ours.step(), plain.step(pictures.at(0))
    pairs = []
    for step in range(asked.steps):
        batch = Unpaired(*(part.contiguous() for part in pictures.at(step)))
        pairs.append((seconds_once(lambda b=batch: plain.step(b)), seconds_once(ours.step)))
    ratios = sorted(a / b for a, b in pairs)
    print(
        json.dumps(
            {
                "plain_seconds": statistics.median(a for a, _ in pairs),
                "ours_seconds": statistics.median(b for _, b in pairs),
                "ratio": {"min": ratios[0], "median": statistics.median(ratios), "max": ratios[-1]},
                "precision": ours.engine.fabric._precision.precision,
                "threads": torch.get_num_threads(),
                "ceiling_gflops": {"fp32": ceiling(torch.float32), "bf16": ceiling(torch.bfloat16)},
            },
            indent=2,
        )
    )


def trainer(precision: Literal["auto", "32-true", "bf16-mixed"]) -> tuple[Trainer, UnpairedPictures]:
    recipe = Recipe(precision=precision, accelerator="cpu")
    random = np.random.default_rng(0)
    x, y = (random.integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8) for _ in range(2))
    domains = [Decoded(name, (Path(name),) * len(some), some) for name, some in (("x", x), ("y", y))]
    pictures = UnpairedPictures(domains, Order(batch=1, seed=0, flip=True))
    system = RELEASED.build(Task(("x", "y"), SIZE))
    return Trainer(Experiment(system=RELEASED, training=recipe), system, pictures, Engine(recipe), Path()), pictures


def seconds_once(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
