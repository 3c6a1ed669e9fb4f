"""Every Lightning Fabric call that is about arithmetic: devices, precision, backward passes."""

import sys
import time
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.heap import keep_memory
from aggan.networks.cpu import quicken
from aggan.networks.processor import prefers_bf16
from aggan.training.processes import Processes
from aggan.training.recipe import Recipe


class Engine(Processes):
    """Runs the arithmetic of a training on what the recipe asks for, in one process or in several."""

    def __init__(self, recipe: Recipe) -> None:
        if recipe.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("no GPU here: leave out --training.accelerator gpu, or check the driver with nvidia-smi")
        self._processor_time = recipe.processor_time
        super().__init__(recipe, _precision(recipe))
        if self.fabric.device.type == "cpu":
            keep_memory()
        if recipe.threads:  # after the launch, which counts them on its own
            torch.set_num_threads(recipe.threads)

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
        if self.fabric.device.type == "cpu":
            quicken(module)
        module.to(device=self.fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if self.world > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.data.copy_(self.same(tensor.data))

    def to_device(self, batch: Any) -> Any:
        return self.fabric.to_device(batch)

    def precision(self) -> AbstractContextManager:
        return self.fabric.autocast()

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)


def _precision(recipe: Recipe) -> Literal["32-true", "bf16-mixed"]:
    if recipe.precision != "auto":
        return recipe.precision
    if recipe.accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if prefers_bf16() else "32-true"
