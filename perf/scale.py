"""How the cost of `aggan-released` grows with pixels, batch and processes: the tables of docs/scale.md.

    python benchmarks/scale.py             # counted and computed; seconds on any machine
    python benchmarks/scale.py --measure   # measured here, one thread a process; leave the machine alone meanwhile

The discriminators' convolutions are padded here; as released they are not and need 94 px. Operations are counted
by torch on tensors without content. The computed table says what would follow from `Cluster`, whose figures are
assumptions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from cell import PADDED
from torch.utils.flop_counter import FlopCounterMode

from aggan.methods.base import Clock, Task
from aggan.nn.freeze import frozen
from aggan.types import Unpaired

SIZES = (64, 128, 256, 512, 1024)
CELLS = [(size, batch, processes) for size in (64, 128, 256) for batch in (1, 4) for processes in (1, 2)]
MILLION = 1_000_000


@dataclass(frozen=True)
class Cluster:
    """What the computed table assumes of machines that nobody tried."""

    flops: float = 0.3 * 312e12
    """A GPU's rate: 30 % of the bf16 peak of an A100."""
    inside: float = 200e9
    """Bytes a second from GPU to GPU in one machine."""
    between: float = 0.8 * 25e9
    """Bytes a second from machine to machine: 80 % of 200 Gbit/s."""
    machine: int = 8
    latency: float = 10e-6
    """Seconds for a message from one process to the next."""

    def sharing(self, bytes_a_turn: list[int], world: int) -> float:
        """Seconds a step for ring all-reduces of each turn's gradients and of two flags, nothing overlapping."""
        link = self.inside if world <= self.machine else self.between
        volume = 2 * (world - 1) / world * sum(bytes_a_turn) / link
        return volume + 2 * (world - 1) * self.latency * (len(bytes_a_turn) + 2)


def counted(size: int) -> tuple[float, float, list[int]]:
    """FLOPs of a step and of a translation, one picture of each domain, and the bytes of gradients of each turn."""
    with torch.device("meta"):
        system = PADDED.build(Task(("x", "y"), size))
        batch = Unpaired(torch.empty(1, 3, size, size), torch.empty(1, 3, size, size))
    system.clock, turns, shared = Clock(0, 1000), system.turns(), []
    names = [name for turn in turns for name in turn.networks]
    with FlopCounterMode(display=False) as step:
        made = system(batch)
        for turn in turns:
            with frozen(*(system.get_submodule(name) for name in names if name not in turn.networks)):
                terms = turn.loss(batch, made)
            torch.stack(list(terms.values())).sum().backward()
            learners = [p for name in turn.networks for p in system.get_submodule(name).parameters()]
            shared.append(sum(4 * p.numel() for p in learners if p.grad is not None))
    with FlopCounterMode(display=False) as translation, torch.no_grad():
        system.G_xy(batch.x)
    return step.get_total_flops(), translation.get_total_flops(), shared


def print_counted() -> None:
    print("| px | GFLOP a step | GFLOP a translation | MB of gradients a step | cache of 1,000,000 pictures |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        step, translation, shared = counted(size)
        cache = MILLION * 3 * size**2 / 1e9
        print(f"| {size} | {step / 1e9:,.0f} | {translation / 1e9:,.1f} | {sum(shared) / 1e6:.0f} | {cache:,.0f} GB |")


def print_computed(size: int) -> None:
    print("| GPUs | batch a GPU | ms a step | of it sharing gradients | pictures/s | an epoch of 1,000,000 |")
    print("|---|---|---|---|---|---|")
    cluster, (flops, _, shared) = Cluster(), counted(size)
    for batch in (1, 8):
        for world in (1, 2, 8, 16, 64):
            sharing = cluster.sharing(shared, world)
            step = batch * flops / cluster.flops + sharing
            rate = batch * world / step
            print(f"| {world} | {batch} | {1e3 * step:.1f} | {sharing / step:.0%} | {rate:,.0f} | ", end="")
            print(f"{MILLION / rate / 60:,.0f} min |")


def print_measured(steps: int) -> None:
    print("| px | batch a process | processes | s a step (least, most) | of it sharing gradients | pictures/s | MB |")
    print("|---|---|---|---|---|---|---|")
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    for numbers in CELLS:
        size, batch, processes = numbers
        cell = [sys.executable, str(Path(__file__).with_name("cell.py")), *map(str, (*numbers, steps))]
        said = subprocess.run(cell, check=True, stdout=subprocess.PIPE, text=True, env=alone)
        found = json.loads(said.stdout)
        middle, sharing = statistics.median(found["seconds"]), statistics.median(found["sharing"])
        spread = f"{min(found['seconds']):.2f}, {max(found['seconds']):.2f}"
        print(f"| {size} | {batch} | {processes} | {middle:.2f} ({spread}) | {sharing / middle:.0%} | ", end="")
        print(f"{batch * processes / middle:.2f} | {found['memory']:.0f} |", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--measure", action="store_true")
    options.add_argument("--steps", type=int, default=5)
    asked = options.parse_args()
    if asked.measure:
        print_measured(asked.steps)
    else:
        print_counted()
        print()
        print_computed(256)


if __name__ == "__main__":
    main()
