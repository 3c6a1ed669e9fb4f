"""Every Lightning Fabric call: processes and their collectives, devices, precision, backward passes.

Processes average their gradients after each backward pass. The updates of a method run through its networks several
times and in any order, which DDP's hooks on a single forward pass do not support (docs/decisions/0004).
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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

from aggan.errors import AlreadyReported, UserError
from aggan.ops.cpu_features import limit_threads, prefers_bf16
from aggan.ops.derived import unchanged_weights
from aggan.ops.dispatch import use_fast_convolutions
from aggan.ops.malloc import retain_freed_memory
from aggan.training.config import TrainingConfig
from aggan.training.launch import detect_launcher

PREPARATION = timedelta(days=1)
"""How long processes wait for another one that decodes a large data set."""
ENVIRONMENTS = {"torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}
Precision = Literal["32-true", "bf16-mixed"]

T = TypeVar("T")


class ProcessLost(UserError):
    """Another process of the training has died or does not answer."""


@contextmanager
def _lost_as_user_error() -> Iterator[None]:
    """Lost connections and timeouts become `ProcessLost`."""
    try:
        yield
    except RuntimeError as error:  # gloo, NCCL and the store have no narrower type in common
        raise ProcessLost(f"another process is gone or does not answer ({_reason(error)})") from error


class ProcessGroup:
    """The processes of a training: those that the launcher started, otherwise as many as configured.

    Raises `UserError` if they do not all connect.
    """

    def __init__(self, config: TrainingConfig, precision: Precision) -> None:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # or every process announces itself
        launch = detect_launcher()
        devices, nodes = (launch.devices, launch.nodes) if launch else (config.devices, 1)
        self.devices = devices
        """Processes on each machine."""
        environment = ENVIRONMENTS[launch.launcher]() if launch else LightningEnvironment()
        ddp = DDPStrategy(timeout=timedelta(minutes=config.timeout))
        self.fabric = Fabric(
            accelerator=config.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=ddp if devices * nodes > 1 else "auto",
            precision=precision,
            plugins=[environment],  # explicitly, because Fabric takes a shell in a SLURM allocation for a task
        )
        try:
            self.fabric.launch()
        except (RuntimeError, ValueError) as error:
            raise UserError(f"the {devices * nodes} processes did not all connect: {_reason(error)}") from error
        self._patient: Any = dist.new_group(backend="gloo", timeout=PREPARATION) if self.world_size > 1 else None

    @property
    def rank(self) -> int:
        return self.fabric.global_rank

    @property
    def world_size(self) -> int:
        return self.fabric.world_size

    @property
    def is_global_zero(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.fabric.is_global_zero

    @property
    def _turn(self) -> int:
        return 0 if self.is_global_zero else 1 if self.fabric.local_rank == 0 else 2

    def run_together(self, function: Callable[[], T]) -> T:
        """The function's result; if it raises `UserError` in any process, all stop and one reports it.

        Waits for all processes, however long they take. The function must not use collectives.
        """
        results: list[T] = []
        failure = ""
        try:
            results.append(function())
        except UserError as error:
            failure = str(error)
        for rank, message in enumerate(self.gather(failure, self._patient)):
            if message:
                raise UserError(message) if rank == self.rank else AlreadyReported(message)
        return results[0]

    def run_in_turns(self, function: Callable[[], T]) -> T:
        """As `run_together`, for work whose result is cached: first rank 0, then one rank per machine, then all."""
        results: list[T] = []
        for turn in range(3):
            keep = results.append if turn == self._turn else None
            self.run_together(lambda keep=keep: keep(function()) if keep else None)
        return results[0]

    @_lost_as_user_error()
    def all_reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients over all processes, in one message."""
        if self.world_size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = self._reduce(torch.cat([g.flatten() for g in gradients]), "mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    @_lost_as_user_error()
    def any_rank(self, value: bool) -> bool:
        """Whether the value is true in any process."""
        if self.world_size == 1:
            return value
        return bool(self._reduce(torch.tensor(float(value)), "sum") > 0)

    @_lost_as_user_error()
    def broadcast(self, value: T) -> T:
        """The value of rank 0, in every process."""
        return value if self.world_size == 1 else self.fabric.broadcast(value)

    @_lost_as_user_error()
    def gather(self, value: T, group: Any = None) -> list[T]:
        """The values of all processes in the order of their ranks, in every process."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group)
        return values

    def _reduce(self, tensor: Tensor, how: str) -> Tensor:
        reduced = self.fabric.all_reduce(tensor.to(self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced


def _reason(error: Exception) -> str:
    """The first sentence of torch's message, without its source file and its advice."""
    line = str(error).partition("\n")[0].partition(". This is")[0]
    return re.sub(r"\[/\S+\] ", "", line)


class Engine(ProcessGroup):
    """Runs the arithmetic of a training as configured, in one process or in several."""

    def __init__(self, config: TrainingConfig) -> None:
        if config.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("no GPU here: leave out --training.accelerator gpu, or check the driver with nvidia-smi")
        self._processor_time = config.processor_time
        self.precision = _precision(config)
        """The arithmetic that `auto` chose, or the configured one."""
        super().__init__(config, self.precision)
        if self.fabric.device.type == "cpu":
            retain_freed_memory()
        if config.threads:  # after the launch, which sets the number itself
            torch.set_num_threads(config.threads)
        else:
            limit_threads(self.devices)

    def now(self) -> float:
        """Seconds of the clock that a budget in minutes runs on; processor time stands still while others work."""
        return time.process_time() / torch.get_num_threads() if self._processor_time else time.monotonic()

    def peak_memory(self) -> float:
        """Peak memory of this process in MB, the GPU's if there is one; 0 where it is not known."""
        if self.fabric.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.fabric.device) / 1e6
        if sys.platform == "win32":
            return 0.0
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

    def setup(self, module: nn.Module) -> None:
        """Move a module to the device, with channels-last memory and equal weights in all processes."""
        if self.fabric.device.type == "cpu":
            use_fast_convolutions(module)
        module.to(self.fabric.device)
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
            if self.world_size > 1:
                tensor.data.copy_(self.broadcast(tensor.data))

    def to_device(self, batch: T) -> T:
        return self.fabric.to_device(batch)

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Inside, the networks compute in the configured precision. No weight may change inside."""
        with self.fabric.autocast(), unchanged_weights():
            yield

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)


def _precision(config: TrainingConfig) -> Precision:
    if config.precision != "auto":
        return config.precision
    if config.accelerator != "cpu" and torch.cuda.is_available():
        # Older GPUs emulate bf16, which is slower than fp32.
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if prefers_bf16() else "32-true"
