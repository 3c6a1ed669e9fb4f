"""What the CPU computes fast."""

import timeit
from functools import cache

import torch
from torch.nn import functional as F


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
