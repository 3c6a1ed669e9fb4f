"""How the cost of `aggan-released` grows with image size, batch size and processes: the tables of docs/scale.md.

    python perf/scale.py             # counted and computed; takes seconds on any machine
    python perf/scale.py --measure   # measured, one thread per process; keep the machine idle otherwise

The discriminators' convolutions are padded here. PyTorch counts the operations on tensors without data. The computed
table follows from `Cluster`, whose figures are assumptions.
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
from scale_cell import PADDED
from torch.utils.flop_counter import FlopCounterMode

from aggan.methods.base import Progress, Task
from aggan.nn.freeze import frozen
from aggan.types import UnpairedBatch

SIZES = (64, 128, 256, 512, 1024)
CELLS = [(size, batch, processes) for size in (64, 128, 256) for batch in (1, 4) for processes in (1, 2)]
MILLION = 1_000_000


@dataclass(frozen=True)
class Cluster:
    """What the computed table assumes about machines; nothing was measured on them."""

    flops: float = 0.3 * 312e12
    """FLOP/s of a GPU: 30 % of the bf16 peak of an A100."""
    within_machine: float = 200e9
    """Bytes per second between GPUs of one machine."""
    between_machines: float = 0.8 * 25e9
    """Bytes per second between machines: 80 % of 200 Gbit/s."""
    gpus_per_machine: int = 8
    latency: float = 10e-6
    """Seconds of a message from one process to the next."""

    def all_reduce_seconds(self, gradient_bytes: list[int], world_size: int) -> float:
        """Seconds per step of ring all-reduces of each update's gradients and of two flags, without overlap."""
        bandwidth = self.within_machine if world_size <= self.gpus_per_machine else self.between_machines
        transfer = 2 * (world_size - 1) / world_size * sum(gradient_bytes) / bandwidth
        return transfer + 2 * (world_size - 1) * self.latency * (len(gradient_bytes) + 2)


def count(size: int) -> tuple[float, float, list[int]]:
    """FLOPs of a step and of a translation with one image of each domain, and bytes of each update's gradients."""
    with torch.device("meta"):
        method = PADDED.build(Task(("x", "y"), size))
        batch = UnpairedBatch(torch.empty(1, 3, size, size), torch.empty(1, 3, size, size))
    method.progress, updates, gradient_bytes = Progress(0, 1000), method.updates(), []
    names = [name for update in updates for name in update.networks]
    with FlopCounterMode(display=False) as step:
        outputs = method(batch)
        for update in updates:
            with frozen(*(method.get_submodule(name) for name in names if name not in update.networks)):
                terms = update.loss(batch, outputs)
            torch.stack(list(terms.values())).sum().backward()
            learning = [p for name in update.networks for p in method.get_submodule(name).parameters()]
            gradient_bytes.append(sum(4 * p.numel() for p in learning if p.grad is not None))
    with FlopCounterMode(display=False) as translation, torch.no_grad():
        method.G_xy(batch.x)
    return step.get_total_flops(), translation.get_total_flops(), gradient_bytes


def print_counted() -> None:
    print("| px | GFLOP per step | GFLOP per translation | MB of gradients per step | cache of 1,000,000 images |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        step, translation, gradient_bytes = count(size)
        megabytes, cache = sum(gradient_bytes) / 1e6, MILLION * 3 * size**2 / 1e9
        print(f"| {size} | {step / 1e9:,.0f} | {translation / 1e9:,.1f} | {megabytes:.0f} | {cache:,.0f} GB |")


def print_computed(size: int) -> None:
    print("| GPUs | batch per GPU | ms per step | of it all-reduce | images/s | an epoch of 1,000,000 |")
    print("|---|---|---|---|---|---|")
    cluster, (flops, _, gradient_bytes) = Cluster(), count(size)
    for batch in (1, 8):
        for world_size in (1, 2, 8, 16, 64):
            all_reduce = cluster.all_reduce_seconds(gradient_bytes, world_size)
            step = batch * flops / cluster.flops + all_reduce
            rate = batch * world_size / step
            print(f"| {world_size} | {batch} | {1e3 * step:.1f} | {all_reduce / step:.0%} | {rate:,.0f} | ", end="")
            print(f"{MILLION / rate / 60:,.0f} min |")


def print_measured(steps: int) -> None:
    print("| px | batch per process | processes | s per step (min, max) | of it all-reduce | images/s | MB |")
    print("|---|---|---|---|---|---|---|")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for cell in CELLS:
        size, batch, processes = cell
        command = [sys.executable, str(Path(__file__).with_name("scale_cell.py")), *map(str, (*cell, steps))]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        result = json.loads(output)
        median, all_reduce = statistics.median(result["seconds"]), statistics.median(result["all_reduce"])
        extremes = f"{min(result['seconds']):.2f}, {max(result['seconds']):.2f}"
        print(f"| {size} | {batch} | {processes} | {median:.2f} ({extremes}) | {all_reduce / median:.0%} | ", end="")
        print(f"{batch * processes / median:.2f} | {result['memory']:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each row")
    args = parser.parse_args()
    if args.measure:
        print_measured(args.steps)
    else:
        print_counted()
        print()
        print_computed(256)


if __name__ == "__main__":
    main()
