"""The processes of a training, and what they tell each other, through Lightning Fabric.

They share their gradients by averaging them after each backward pass. A system's turns pass through its
networks several times and in any order, which DDP's hooks on one forward pass do not suit (docs/decisions/0004).
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from aggan.errors import AlreadySaid, UserError
from aggan.ops.cpu_features import prefers_bf16
from aggan.ops.dispatch import quicken
from aggan.ops.malloc import keep_memory
from aggan.training.config import Recipe
from aggan.training.launch import launched

PREPARATION = timedelta(days=1)
"""What the decoding of a large data set may take, while the other processes wait."""
ENVIRONMENTS = {"torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}

T = TypeVar("T")


class Parted(UserError):
    """The processes of a training have lost each other."""


@contextmanager
def _in_touch() -> Iterator[None]:
    """What torch says of lost connections and of timeouts becomes `Parted`."""
    try:
        yield
    except RuntimeError as why:  # gloo, NCCL and the store have no narrower type in common
        raise Parted(f"another process is gone or does not answer ({_reason(why)})") from why


class Processes:
    """As many as the launcher started, or else as the recipe asks for; raises `UserError` if they do not meet."""

    def __init__(self, recipe: Recipe, precision: Literal["32-true", "bf16-mixed"]) -> None:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # or every process announces itself
        by = launched()
        devices, nodes = (by.devices, by.nodes) if by else (recipe.devices, 1)
        environment = ENVIRONMENTS[by.by]() if by else LightningEnvironment()
        several = DDPStrategy(timeout=timedelta(minutes=recipe.timeout))
        self.fabric = Fabric(
            accelerator=recipe.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=several if devices * nodes > 1 else "auto",
            precision=precision,
            plugins=[environment],  # named, because Fabric takes a shell in an allocation of SLURM for a task
        )
        try:
            self.fabric.launch()
        except (RuntimeError, ValueError) as why:
            raise UserError(f"the {devices * nodes} processes did not all come together: {_reason(why)}") from why
        self._patient: Any = dist.new_group(backend="gloo", timeout=PREPARATION) if self.world > 1 else None

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

    @property
    def _turn(self) -> int:
        return 0 if self.first else 1 if self.fabric.local_rank == 0 else 2

    def together(self, part: Callable[[], T]) -> T:
        """What a part of the preparation makes; where a process raises `UserError`, all stop and one says why.

        However long the others take, they are waited for. Inside the part, processes cannot ask each other anything.
        """
        made: list[T] = []
        mistake = ""
        try:
            made.append(part())
        except UserError as why:
            mistake = str(why)
        for rank, found in enumerate(self.gather(mistake, self._patient)):
            if found:
                raise UserError(found) if rank == self.rank else AlreadySaid(found)
        return made[0]

    def in_turns(self, part: Callable[[], T]) -> T:
        """The same for what is done once and then found done: by the first, by one on each machine, by all."""
        made: list[T] = []
        for turn in range(3):
            mine = made.append if turn == self._turn else None
            self.together(lambda mine=mine: mine(part()) if mine else None)
        return made[0]

    @_in_touch()
    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over the processes, in one message."""
        if self.world == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self._reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    @_in_touch()
    def agree(self, mine: bool) -> bool:
        """Whether any process says yes."""
        if self.world == 1:
            return mine
        return bool(self._reduce(torch.tensor(float(mine)), "sum") > 0)

    @_in_touch()
    def same(self, mine: T) -> T:
        """What the first process has, on every process."""
        return mine if self.world == 1 else self.fabric.broadcast(mine)

    @_in_touch()
    def gather(self, mine: T, group: Any = None) -> list[T]:
        """What every process has, in the order of their ranks (the same on all)."""
        if self.world == 1:
            return [mine]
        everyone: list[Any] = [None] * self.world
        dist.all_gather_object(everyone, mine, group)
        return everyone

    def _reduce(self, tensor: Tensor, how: str) -> Tensor:
        reduced = self.fabric.all_reduce(tensor.to(self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced


def _reason(why: Exception) -> str:
    """The first sentence of torch's, without its source file and its advice."""
    line = str(why).partition("\n")[0].partition(". This is")[0]
    return re.sub(r"\[/\S+\] ", "", line)


# --- '"""Every Lightning Fabric call that is about arithmetic: devices, precision, backward passes."""'
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
