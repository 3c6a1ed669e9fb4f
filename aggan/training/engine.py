"""Every Lightning Fabric call there is: devices, processes, precision, gradients."""

import os
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.training.recipe import Recipe


class Engine:
    """Runs the arithmetic of a training on what the recipe asks for.

    Processes share their gradients by averaging them after each backward pass. A system's turns
    pass through its networks several times and in any order, which DDP's hooks on one forward
    pass do not suit (docs/decisions/0004).
    """

    def __init__(self, recipe: Recipe) -> None:
        if recipe.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("no GPU here: leave out --training.accelerator gpu, or check the driver with nvidia-smi")
        self._processor_time = recipe.processor_time
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        several = recipe.devices > 1 or "TORCHELASTIC_RUN_ID" in os.environ
        self.fabric = Fabric(
            accelerator=recipe.accelerator,
            devices=recipe.devices,
            strategy="ddp" if several else "auto",
            precision=_precision(recipe),
        )
        self.fabric.launch()

    @property
    def rank(self) -> int:
        return self.fabric.global_rank

    @property
    def world(self) -> int:
        return self.fabric.world_size

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.fabric.is_global_zero

    def now(self) -> float:
        """Seconds by the clock that a budget in minutes runs on; the processor's own stands still while others work."""
        return time.process_time() / torch.get_num_threads() if self._processor_time else time.monotonic()

    def peak_memory(self) -> float:
        """The most memory that this process ever held, in MB, the GPU's where there is one; 0 where nobody counts."""
        if self.fabric.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.fabric.device) / 1e6
        if sys.platform == "win32":
            return 0.0
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # the system counts in bytes there, in KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

    def place(self, module: nn.Module) -> None:
        """Move a module to the device, its convolutions in channels-last memory; all processes start alike."""
        module.to(device=self.fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if self.world > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.data.copy_(self.fabric.broadcast(tensor.data))

    def to_device(self, batch: Any) -> Any:
        return self.fabric.to_device(batch)

    def precision(self) -> AbstractContextManager:
        return self.fabric.autocast()

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over the processes, in one message."""
        if self.world == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self._reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, mine: bool) -> bool:
        """Whether any process says yes."""
        if self.world == 1:
            return mine
        return bool(self._reduce(torch.tensor(float(mine)), "sum") > 0)

    def same(self, number: float) -> float:
        """The first process's number, on every process."""
        return number if self.world == 1 else float(self.fabric.broadcast(number))

    def gather(self, mine: Any) -> list[Any]:
        """What every process has, in the order of their ranks (the same on all)."""
        if self.world == 1:
            return [mine]
        everyone: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(everyone, mine)
        return everyone

    def barrier(self) -> None:
        self.fabric.barrier()

    def _reduce(self, tensor: Tensor, how: str) -> Tensor:
        reduced = self.fabric.all_reduce(tensor.to(self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced


def _precision(recipe: Recipe) -> Literal["32-true", "bf16-mixed"]:
    if recipe.precision != "auto":
        return recipe.precision
    if recipe.accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    # Without AMX tiles, bf16 convolutions on a CPU are slower than fp32 ones.
    return "bf16-mixed" if torch.cpu._is_amx_tile_supported() else "32-true"
