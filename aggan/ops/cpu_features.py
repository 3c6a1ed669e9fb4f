"""What the processor is good at."""

import timeit
from functools import cache

import torch
from torch.nn import functional as F


@cache
def prefers_bf16() -> bool:
    """Whether this processor convolves faster in bf16 than in fp32; it is timed, as decision 6 says."""
    if not (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return False
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(1, 128, 32, 32, dtype=kind), torch.ones(128, 128, 3, 3, dtype=kind)
        x, weight = (each.to(memory_format=torch.channels_last) for each in (x, weight))
        seconds[kind] = min(timeit.repeat(lambda x=x, w=weight: F.conv2d(x, w), number=1, repeat=10))
    return seconds[torch.bfloat16] < seconds[torch.float32]


def stops_at_avx2() -> bool:
    """Whether it has AVX2 and not AVX-512: then the library's convolutions are further from what it could do."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"
