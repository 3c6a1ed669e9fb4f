"""The training steps that are compared: a plain one, and the step of this package's trainer.

The plain step is what one would write first from the papers: fp32, contiguous memory, one unfused Adam per update.
Networks that do not learn in an update collect gradients all the same. For `aggan-released` it also has the two
identity passes that the authors compute and no loss uses.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from timing import Call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aggan.data.cache import DecodedDomain
from aggan.data.datasets import DATASETS, Dataset, Sampler
from aggan.methods.base import Method, Progress, Task, Update
from aggan.methods.registry import METHODS
from aggan.nn.activation_checkpointing import enable_checkpointing
from aggan.nn.freeze import frozen
from aggan.ops.dispatch import use_fast_convolutions
from aggan.ops.malloc import retain_freed_memory
from aggan.training.config import TrainingConfig
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.trainer import Trainer

DOMAINS = ("x", "y")
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Setting:
    """A method, the side of its images in pixels, and the batch size."""

    name: str
    size: int
    batch: int

    def dataset(self) -> Dataset:
        """Noise: the content of images does not change the time of a step."""
        random, count = np.random.default_rng(0), max(4, self.batch)
        domains = [
            DecodedDomain(
                name,
                (Path(name),) * count,
                random.integers(0, 256, (count, self.size, self.size, 3), dtype=np.uint8),
            )
            for name in DOMAINS
        ]
        return DATASETS[METHODS[self.name].needs](domains, Sampler(self.batch, 0, False))

    def method(self) -> Method:
        return METHODS[self.name].build(Task(DOMAINS, self.size)).train()


@dataclass(frozen=True)
class Optimizations:
    """What makes a step faster."""

    channels_last: bool = False
    frozen_networks: bool = False
    """Networks that do not learn in an update collect no gradients."""
    fused_adam: bool = False
    bf16: bool = False
    no_unused_passes: bool = False
    retained_memory: bool = False
    fast_convolutions: bool = False
    """Only faster in channels-last memory."""


ALL = Optimizations(
    channels_last=True,
    frozen_networks=True,
    fused_adam=True,
    no_unused_passes=True,
    retained_memory=True,
    fast_convolutions=True,
)


class PlainTrainer:
    """Plain steps of a method, with chosen optimizations."""

    def __init__(self, setting: Setting, optimizations: Optimizations = Optimizations()) -> None:
        if optimizations.retained_memory:
            retain_freed_memory()
        self.method, self.dataset, self.optimizations = setting.method(), setting.dataset(), optimizations
        if optimizations.fast_convolutions:
            use_fast_convolutions(self.method)
        if optimizations.channels_last:
            self.method.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.updates, self.steps = self.method.updates(), 0
        self.unused_passes = setting.name == "aggan-released" and not optimizations.no_unused_passes
        self.optimizers = {update.name: self._optimizer(update) for update in self.updates}

    def _optimizer(self, update: Update) -> torch.optim.Optimizer:
        parameters = [p for name in update.networks for p in self.method.get_submodule(name).parameters()]
        implementation = {"fused": True} if self.optimizations.fused_adam else {"foreach": False}
        return torch.optim.Adam(parameters, 1e-4, (0.5, 0.999), **implementation)

    def step(self) -> None:
        progress = Progress(self.steps, self.dataset.steps_per_epoch)
        self.method.progress, batch = progress, self.dataset.batch(self.steps)
        with torch.autocast("cpu", torch.bfloat16, self.optimizations.bf16):
            outputs = self.method(batch)
            if self.unused_passes:
                _ = self.method.get_submodule("G_xy")(batch.y), self.method.get_submodule("G_yx")(batch.x)
        for update in self.updates:
            if update.when(progress):
                self._update(update, batch, outputs)
        self.steps += 1

    def _update(self, update: Update, batch: Any, outputs: Any) -> None:
        optimizer = self.optimizers[update.name]
        optimizer.zero_grad()
        names = {name for other in self.updates for name in other.networks} - set(update.networks)
        others = [self.method.get_submodule(name) for name in names] if self.optimizations.frozen_networks else []
        with frozen(*others), torch.autocast("cpu", torch.bfloat16, self.optimizations.bf16):
            terms = update.loss(batch, outputs)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        update.after()


def plain_step(setting: Setting, optimizations: Optimizations = Optimizations()) -> Call:
    """A plain step, with chosen optimizations."""
    return PlainTrainer(setting, optimizations).step


def our_step(setting: Setting, precision: Precision) -> Call:
    """A step of this package's trainer."""
    return our_trainer(setting, precision).step


def our_trainer(setting: Setting, precision: Precision, checkpointing: bool = False) -> Trainer:
    """This package's trainer; `checkpointing` turns activation checkpointing on."""
    config = TrainingConfig(precision=precision, accelerator="cpu", batch=setting.batch)
    method = setting.method()
    if checkpointing:
        enable_checkpointing(method)
    experiment = Experiment(method=METHODS[setting.name], training=config)
    return Trainer(experiment, method, setting.dataset(), Engine(config), Path())


def count_operations(setting: Setting, optimizations: Optimizations = ALL) -> float:
    """Floating-point operations of a step, averaged over a full cycle of updates; a multiplication and a sum are two.

    Counted with PyTorch's convolutions, because the fast ones leave products out that the mathematics has.
    """
    trainer = PlainTrainer(setting, replace(optimizations, retained_memory=False, fast_convolutions=False))
    with OperationCounter() as counter:
        trainer.step()
        while not all(update.when(Progress(trainer.steps - 1)) for update in trainer.updates):
            trainer.step()
    return counter.total / trainer.steps


class OperationCounter(TorchDispatchMode):
    """Counts convolutions and matrix products. PyTorch's own counter does not know second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=output) if count else 0
        return output
