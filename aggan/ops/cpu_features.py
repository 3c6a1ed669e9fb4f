"""How many cores and how much memory this process may use, and what its cores compute fast."""

import math
import os
import timeit
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional as F

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
"""One line per hierarchy: `ID:CONTROLLERS:PATH`, without controllers in version 2."""
MEMORY = Path("/proc/meminfo")


def available_cores() -> int:
    """Number of cores that this process may use, at least 1.

    `taskset` and SLURM restrict a process to some cores of the machine (its affinity), containers limit its share of
    time (its control groups). `os.cpu_count` knows neither.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min((affinity, *_cgroup_limits()))))


def limit_threads(processes: int = 1) -> None:
    """Keep PyTorch from using more threads than there are cores for each of the machine's `processes`."""
    cores = max(1, available_cores() // processes)
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


def free_memory() -> float:
    """Bytes that this process may still use: what is free on the machine, or the limit of its control groups.

    Infinite where nothing tells.
    """
    available = [line.split()[1] for line in _read(MEMORY).splitlines() if line.startswith("MemAvailable:")]
    limits = [
        _read(group / ("memory.limit_in_bytes" if is_first_version else "memory.max")).strip()
        for group, is_first_version in _cgroups("memory")
    ]
    return min((1024.0 * int(available[0]) if available else math.inf, *map(float, filter(str.isdecimal, limits))))


def _cgroup_limits() -> Iterator[float]:
    """The limits of the process's control groups and of those around them, in cores."""
    for group, is_first_version in _cgroups("cpu"):
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_first_version else ("cpu.max",)
        numbers = " ".join(_read(group / file) for file in files).split()
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):  # no limit is "max" or -1
            yield int(numbers[0]) / int(numbers[1])


def _cgroups(controller: str) -> Iterator[tuple[Path, bool]]:
    """The process's control groups and those around them, and whether they are of version 1."""
    for line in _read(MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controllers
        for group in (root / path.lstrip("/"), *(root / path.lstrip("/")).parents):
            if group.is_relative_to(root):
                yield group, bool(controllers)


def _read(path: Path) -> str:
    """The text of a file of the kernel; empty if there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""


@cache
def prefers_bf16() -> bool:
    """Whether convolutions are faster in bf16 than in fp32 on this CPU.

    The instruction set does not tell, so one small convolution is timed in both (docs/decisions/0006).
    """
    if not (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return False
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(1, 128, 32, 32, dtype=dtype), torch.ones(128, 128, 3, 3, dtype=dtype)
        x, weight = (tensor.to(memory_format=torch.channels_last) for tensor in (x, weight))
        seconds[dtype] = min(timeit.repeat(lambda x=x, weight=weight: F.conv2d(x, weight), number=1, repeat=10))
    return seconds[torch.bfloat16] < seconds[torch.float32]


def has_avx2_only() -> bool:
    """Whether the CPU has AVX2 but not AVX-512. PyTorch's convolutions are then further from its peak."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def has_avx512() -> bool:
    """Whether PyTorch uses AVX-512 on this CPU."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"
