"""Systems so small that a step takes no time, and batches for them."""

from typing import Any

import torch

from aggan.methods.base import System, Task
from aggan.methods.registry import CATALOGUE
from aggan.types import Crossing, Labelled, Masked, Paired, Unpaired

TASK = Task(("neutral", "happy"), 32)
SMALL = {
    "generator_width": 4,
    "generator_blocks": 1,
    "discriminator": "patch",
    "discriminator_width": 4,
    "pool": 4,
}
NARROW = {"encoder_width": 4, "noise": 4}


def shrunk(name: str) -> Any:
    """A catalogue entry with networks so narrow that a step takes no time; what makes it itself stays."""
    config = CATALOGUE[name]
    narrow = {key: value for key, value in (SMALL | NARROW).items() if key in type(config).model_fields}
    narrow |= {"discriminator_padding": 1} if "discriminator_padding" in type(config).model_fields else {}
    kept = config.model_fields_set - {"discriminator_padding"}
    return config.model_copy(update={key: value for key, value in narrow.items() if key not in kept})


def noise_batch(system: System, n: int = 2) -> Any:
    """A batch of noise of the kind that a system learns from."""
    x, y = (torch.rand(n, 3, system.task.size, system.task.size) * 2 - 1 for _ in range(2))
    mask = torch.rand(n, 1, *x.shape[2:]).round()
    codes = torch.eye(system.task.code_length)
    kinds = {
        Unpaired: lambda: Unpaired(x, y),
        Paired: lambda: Paired(x, y),
        Labelled: lambda: Labelled(x, codes[torch.arange(n) % 2], codes[(torch.arange(n) + 1) % 2]),
        Crossing: lambda: Crossing(x, y, 0, 1),
        Masked: lambda: Masked(x, y, mask, 1 - mask, 0, 1),
    }
    return kinds[system.batch_type]()
