"""Timing: paired comparisons, calls in processes of their own, and the machine's peak rate."""

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
PATIENCE = 60
"""Seconds after which `compare` starts no further pair."""


def seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(plain: Call, ours: Call, pairs: int, repeats: int = 1) -> dict[str, Any]:
    """Time two calls in turn, `repeats` calls at a time: the median of each, and the range of the pairs' ratios.

    There are fewer pairs if they take long.
    """
    plain()
    ours()
    start, times = time.perf_counter(), []
    while len(times) < pairs and (not times or time.perf_counter() - start < PATIENCE):
        times.append((seconds(lambda: _repeat(plain, repeats)), seconds(lambda: _repeat(ours, repeats))))
    ratios = sorted(plain_time / our_time for plain_time, our_time in times)
    return {
        "plain seconds": statistics.median(plain_time for plain_time, _ in times),
        "our seconds": statistics.median(our_time for _, our_time in times),
        "ratio": {"min": ratios[0], "median": statistics.median(ratios), "max": ratios[-1]},
        "pairs": len(times),
    }


def _repeat(call: Call, repeats: int) -> None:
    for _ in range(repeats):
        call()


@contextmanager
def in_own_process(make: Callable[[], Call]) -> Iterator[Call]:
    """Make a call in a process of its own, so that the memory settings of one side do not affect the other."""
    context = multiprocessing.get_context("spawn")
    connection, remote = context.Pipe()
    process = context.Process(target=_serve, args=(make, remote), daemon=True)
    process.start()
    remote.close()

    def call() -> None:
        connection.send(None)
        connection.recv()  # raises EOFError if the process failed; it has printed the reason

    try:
        yield call
    finally:
        connection.close()
        process.join()


def _serve(make: Callable[[], Call], connection: Connection) -> None:
    call = make()
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        call()
        connection.send(None)


def peak_rate(dtype: torch.dtype, repeats: int = 20) -> float:
    """GFLOP/s of a large convolution (256 to 256 channels, 3x3, 64x64 pixels), the best of `repeats`."""
    x = torch.randn(1, 256, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    F.conv2d(x, weight, padding=1)
    best = min(seconds(lambda: F.conv2d(x, weight, padding=1)) for _ in range(repeats))
    return 2 * 9 * 256 * 256 * 64 * 64 / best / 1e9


def machine() -> dict[str, Any]:
    """The processor and the versions that figures depend on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": next(names, platform.processor()),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "ceiling, GFLOP/s": {"fp32": peak_rate(torch.float32), "bf16": peak_rate(torch.bfloat16)},
    }
