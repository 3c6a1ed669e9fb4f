"""The two sides of a comparison of training steps: the plain way, and this package's trainer.

The plain way, as one would write it first from the papers: fp32, contiguous memory, one unfused Adam a turn,
networks that are not learning collect gradients all the same; for `aggan-released` also the two identity passes that
its authors compute and no loss uses.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from timing import Call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aggan.data.cache import Decoded
from aggan.data.datasets import BATCHES, Order, Pictures
from aggan.methods.base import Clock, System, Task, Turn
from aggan.methods.registry import CATALOGUE
from aggan.nn.activation_checkpointing import save_memory
from aggan.nn.freeze import frozen
from aggan.ops.dispatch import quicken
from aggan.ops.malloc import keep_memory
from aggan.training.config import Recipe
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.trainer import Trainer

DOMAINS = ("x", "y")
Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Setting:
    """What is trained."""

    name: str
    size: int
    batch: int

    def pictures(self) -> Pictures:
        """Noise: what is in a picture does not change the time that it takes."""
        random, count = np.random.default_rng(0), max(4, self.batch)
        pixels = (random.integers(0, 256, (count, self.size, self.size, 3), dtype=np.uint8) for _ in DOMAINS)
        domains = [Decoded(name, (Path(name),) * count, some) for name, some in zip(DOMAINS, pixels, strict=True)]
        return BATCHES[self.system().batch_type](domains, Order(self.batch, 0, False))

    def system(self) -> System:
        return CATALOGUE[self.name].build(Task(DOMAINS, self.size))


@dataclass(frozen=True)
class Ideas:
    """Of what makes a step fast, what is on."""

    channels_last: bool = False
    frozen_spectators: bool = False
    fused_adam: bool = False
    bf16: bool = False
    without_waste: bool = False
    kept_memory: bool = False
    quick_convolutions: bool = False
    """Needs channels-last memory to be quick."""


ALL = Ideas(
    channels_last=True,
    frozen_spectators=True,
    fused_adam=True,
    without_waste=True,
    kept_memory=True,
    quick_convolutions=True,
)


class Steps:
    """Steps of one system with some of the ideas; with none of them, the plain way."""

    def __init__(self, setting: Setting, ideas: Ideas = Ideas()) -> None:
        if ideas.kept_memory:
            keep_memory()
        self.system, self.pictures, self.ideas = setting.system().train(), setting.pictures(), ideas
        if ideas.quick_convolutions:
            quicken(self.system)
        memory = torch.channels_last if ideas.channels_last else torch.contiguous_format
        self.system.to(memory_format=memory)  # pyright: ignore[reportCallIssue]
        self.turns, self.count = self.system.turns(), 0
        self.wasteful = setting.name == "aggan-released" and not ideas.without_waste
        how = {"fused": True} if ideas.fused_adam else {"foreach": False}
        self.optimizers = {
            turn.name: torch.optim.Adam(self._learning(turn), 1e-4, (0.5, 0.999), **how) for turn in self.turns
        }

    def _learning(self, turn: Turn) -> list[torch.nn.Parameter]:
        return [p for name in turn.networks for p in self.system.get_submodule(name).parameters()]

    def step(self) -> None:
        clock = Clock(self.count, self.pictures.steps_per_epoch)
        self.system.clock, batch = clock, self.pictures.at(self.count)
        with torch.autocast("cpu", torch.bfloat16, self.ideas.bf16):
            made = self.system(batch)
            if self.wasteful:
                _ = self.system.get_submodule("G_xy")(batch.y), self.system.get_submodule("G_yx")(batch.x)
        for turn in self.turns:
            if turn.due(clock):
                self._take(turn, batch, made)
        self.count += 1

    def _take(self, turn: Turn, batch: Any, made: Any) -> None:
        optimizer = self.optimizers[turn.name]
        optimizer.zero_grad()
        names = {name for other in self.turns for name in other.networks} - set(turn.networks)
        idle = [self.system.get_submodule(name) for name in names] if self.ideas.frozen_spectators else []
        with frozen(*idle), torch.autocast("cpu", torch.bfloat16, self.ideas.bf16):
            terms = turn.loss(batch, made)
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        turn.after()


def step(setting: Setting, ideas: Ideas) -> Call:
    """A step the plain way, or with some of the ideas."""
    return Steps(setting, ideas).step


def our_step(setting: Setting, precision: Precision) -> Call:
    """A step of this package's own trainer."""
    return trainer(setting, precision).step


def trainer(setting: Setting, precision: Precision, recompute: bool = False) -> Trainer:
    """This package's own way."""
    recipe, system = Recipe(precision=precision, accelerator="cpu", batch=setting.batch), setting.system().train()
    if recompute:
        save_memory(system)
    experiment = Experiment(system=CATALOGUE[setting.name], training=recipe)
    return Trainer(experiment, system, setting.pictures(), Engine(recipe), Path())


def operations(setting: Setting, ideas: Ideas = ALL) -> float:
    """Floating-point operations that a step needs, over a whole round of turns; a product and a sum are two."""
    # Quick convolutions leave out products that the mathematics has; and how this process keeps memory stays as it is.
    steps, round_ = Steps(setting, replace(ideas, kept_memory=False, quick_convolutions=False)), 0
    with Counter() as counter:
        while round_ == 0 or not all(turn.due(Clock(round_ - 1)) for turn in steps.turns):
            steps.step()
            round_ += 1
    return counter.total / round_


class Counter(TorchDispatchMode):
    """Counts convolutions and products of matrices; torch's own counter knows no gradients of gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out
