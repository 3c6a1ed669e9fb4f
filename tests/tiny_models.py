"""Methods so small that a step takes no time, and batches for them."""

from typing import Any

import torch

from aggan.methods.base import MethodConfig, Task
from aggan.methods.registry import METHODS
from aggan.types import CrossDomainBatch, LabelledBatch, MaskedBatch, Needs, PairedBatch, UnpairedBatch

SMALL = {
    "generator_width": 4,
    "generator_blocks": 1,
    "discriminator": "patch",
    "discriminator_width": 4,
    "pool": 4,
}
NARROW = {"encoder_width": 4, "noise": 4}


def shrunk(name: str) -> Any:
    """A method of the registry with narrow networks; the settings that define it stay."""
    config = METHODS[name]
    settings = SMALL | NARROW | {"discriminator_padding": 1}
    fixed = config.model_fields_set - {"discriminator_padding"}
    return config.model_copy(
        update={key: value for key, value in settings.items() if key in type(config).model_fields and key not in fixed}
    )


def noise_batch(config: MethodConfig, task: Task, n: int = 2) -> Any:
    """A batch of noise of the kind that a method needs."""
    x, y = (torch.rand(n, 3, task.size, task.size) * 2 - 1 for _ in range(2))
    mask = torch.rand(n, 1, task.size, task.size).round()
    codes = torch.eye(task.code_length)
    labelled = LabelledBatch(x, codes[torch.arange(n) % 2], codes[(torch.arange(n) + 1) % 2])
    batches = {
        Needs.UNPAIRED: UnpairedBatch(x, y),
        Needs.PAIRED: PairedBatch(x, y),
        Needs.LABELLED: labelled,
        Needs.ACTION_UNITS: labelled,
        Needs.CROSS_DOMAIN: CrossDomainBatch(x, y, 0, 1),
        Needs.MASKED: MaskedBatch(x, y, mask, 1 - mask, 0, 1),
    }
    return batches[config.needs]
