"""Clocks, pairs, sides in processes of their own, and the machine's own ceiling."""

import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

Call = Callable[[], object]


def seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


PATIENCE = 60
"""Seconds after which no further pair is begun."""


def in_turn(plain: Call, ours: Call, pairs: int, times: int = 1) -> dict[str, Any]:
    """Both sides step by step in turn, so many steps at a time: medians, and the ratio of each pair with its spread.

    Fewer pairs where they take long.
    """
    plain()
    ours()
    began, found = time.perf_counter(), []
    while len(found) < pairs and (not found or time.perf_counter() - began < PATIENCE):
        found.append((seconds(lambda: _many(plain, times)), seconds(lambda: _many(ours, times))))
    ratios = sorted(a / b for a, b in found)
    return {
        "plain seconds": statistics.median(a for a, _ in found),
        "our seconds": statistics.median(b for _, b in found),
        "ratio": {"min": ratios[0], "median": statistics.median(ratios), "max": ratios[-1]},
        "pairs": len(found),
    }


@contextmanager
def apart(make: Callable[[], Call]) -> Iterator[Call]:
    """What `make` makes, called in a process of its own: how one side keeps its memory is nothing to the other."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(make, there), daemon=True)
    process.start()
    there.close()

    def call() -> None:
        here.send(None)
        here.recv()  # EOFError where the other side has failed, and said why

    try:
        yield call
    finally:
        here.close()
        process.join()


def _serve(make: Callable[[], Call], there: Connection) -> None:
    call = make()
    while True:
        try:
            there.recv()
        except EOFError:
            return
        call()
        there.send(None)


def _many(step: Call, times: int) -> None:
    for _ in range(times):
        step()


def ceiling(kind: torch.dtype, times: int = 20) -> float:
    """GFLOP/s of a large convolution: 256 channels, 3x3, at 64x64, the best of some."""
    x = torch.randn(1, 256, 64, 64, dtype=kind).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, dtype=kind).to(memory_format=torch.channels_last)
    F.conv2d(x, weight, padding=1)
    best = min(seconds(lambda: F.conv2d(x, weight, padding=1)) for _ in range(times))
    return 2 * 9 * 256 * 256 * 64 * 64 / best / 1e9


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "processor": model,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "ceiling, GFLOP/s": {"fp32": ceiling(torch.float32), "bf16": ceiling(torch.bfloat16)},
    }
