"""The contract: a system is networks and the turns they take; a loss is a table of named terms.

The trainer makes the pictures of a step once (`forward`), then gives each turn that is due its
loss, in order. Only the networks of that turn learn; all others are looked through, frozen.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.types import Code, Image, Labelled, Mask, Paired, Translation, Unpaired, whole

Terms = dict[str, Tensor]
"""Weighted terms of a loss: their sum is minimised, each is journalled under its name."""


class Clock(NamedTuple):
    """How far the training is: every schedule is a function of it, so a resumed run follows on exactly."""

    step: int = 0
    steps_per_epoch: int = 1
    progress: float = 0.0
    """The share of the whole training that is done, in [0, 1]."""

    @property
    def epoch(self) -> int:
        return self.step // self.steps_per_epoch


class Task(NamedTuple):
    """What a system is built for."""

    domains: tuple[str, ...]
    size: int
    """Side of the training pictures in pixels."""
    codes: tuple[tuple[float, ...], ...] = ()
    """The mean code of each domain's pictures, where pictures have codes of their own."""

    @property
    def code_length(self) -> int:
        """Numbers in a picture's code: one a domain where pictures have no codes of their own."""
        return len(self.codes[0]) if self.codes else len(self.domains)


Due = Callable[[Clock], bool]


def always(clock: Clock) -> bool:
    """At every step."""
    return True


def every(steps: int) -> Due:
    """At every so-manieth step, the last of each round: a critic's many steps come first."""
    return lambda clock: (clock.step + 1) % steps == 0


def during(first: float, last: float) -> Due:
    """While the share of the training that is done lies in [first, last)."""
    return lambda clock: first <= clock.progress < last


def nothing() -> None:
    """In place of what a turn does afterwards."""


@dataclass(frozen=True)
class Turn:
    """One player's move."""

    name: str
    loss: Callable[[Any, Any], Terms]
    networks: tuple[str, ...]
    """The networks that learn in this turn, by attribute name."""
    due: Due = always
    """When the turn comes."""
    rate: float = 1.0
    """The networks learn at so many times the recipe's rate."""
    betas: tuple[float, float] | None = None
    """Adam's momentum terms where they are not the recipe's."""
    after: Callable[[], None] = nothing
    """What happens to the networks once they have moved."""


class About(NamedTuple):
    """What there is to know of a system before one trains it."""

    title: str
    paper: str
    needs: str = "two domains"
    """The data that it learns from."""


class Config(BaseModel, ABC):
    """Everything that makes a system what it is: flat, frozen, and in words that its paper uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: ClassVar[About]
    codes: ClassVar[bool] = False
    """Whether it learns from codes of single pictures (action units) where the data have them."""

    def require_batch(self, batch: int) -> None:
        """Raise `UserError` where the system cannot learn from so many pictures a step."""

    @abstractmethod
    def build(self, task: Task) -> "System":
        """The untrained system; raises `UserError` where the system cannot do the task."""


class System(nn.Module, ABC):
    """Networks, and the turns they take."""

    batch_type: ClassVar[type]
    translators: ClassVar[tuple[str, ...]]
    """The networks that `translate` needs: these are what a model file holds."""
    square: ClassVar[bool] = False
    """Whether it takes pictures of its training size only."""
    noisy: ClassVar[bool] = False
    """Whether `translate` draws random numbers."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.clock = Clock()
        """Set by the trainer before each step: its only message."""

    @abstractmethod
    def forward(self, batch: Any) -> Any:
        """Every picture that a step needs, made once."""

    @abstractmethod
    def turns(self) -> tuple[Turn, ...]:
        """The moves of one step, in order."""

    @abstractmethod
    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """Translate pictures to the named domain; the one they come from matters to few systems."""

    def prepare(self, batches: Iterable[Any]) -> None:
        """Look at some batches before the training begins."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The domains that it translates to."""
        return self.task.domains

    def require_target(self, to: str) -> None:
        """Raise `UserError` unless `translate` knows what to make of `to`."""
        if to not in self.targets:
            raise UserError(f"no domain {to!r} in this model; it translates to {' and '.join(self.targets)}")

    def masks(self, made: Any) -> dict[str, Mask]:
        """The attention masks of a step by name; the trainer journals them and warns when they die."""
        return {}

    def translators_state(self) -> dict[str, Tensor]:
        """The weights that a model file holds, by their names in this system."""
        return {
            f"{name}.{key}": value
            for name in self.translators
            for key, value in self.get_submodule(name).state_dict().items()
        }

    def load_translators(self, state: dict[str, Tensor]) -> None:
        """Take back what `translators_state` gave."""
        for name in self.translators:
            prefix = f"{name}."
            own = {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
            self.get_submodule(name).load_state_dict(own)


# --- '"""What systems of one kind share: how they are built for a task, and how they translate."""'
def require_two(task: Task, name: str) -> None:
    """Raise `UserError` unless there are two domains."""
    if len(task.domains) != 2:
        found = ", ".join(task.domains)
        raise UserError(f"{name} translates between two domains, here are {found}: choose with --data.names X Y")


def require_size(task: Task, name: str, fits: bool, allowed: str) -> None:
    """Raise `UserError` with the sizes that are allowed unless the task's fits."""
    if not fits:
        raise UserError(f"{name} needs pictures of {allowed} px, not {task.size}: set --data.size")


class Crossed(NamedTuple):
    """Both translations of a step."""

    y: Image
    x: Image


class TwoWay(System):
    """Two domains without pairs, and a generator each way: G_y = G_xy(x), G_x = G_yx(y)."""

    batch_type = Unpaired
    translators = ("G_xy", "G_yx")
    G_xy: nn.Module
    G_yx: nn.Module

    def forward(self, batch: Unpaired) -> Crossed:
        return Crossed(y=self.G_xy(batch.x), x=self.G_yx(batch.y))

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        x, y = self.task.domains
        return whole({y: self.G_xy, x: self.G_yx}[to](image))


class OneWay(System):
    """From X to Y only."""

    translators = ("G",)
    G: nn.Module

    @property
    def targets(self) -> tuple[str, ...]:
        return self.task.domains[1:]

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        return whole(self.G(image))


class Supervised(OneWay):
    """Pairs: y is the answer to x."""

    batch_type = Paired


class ManyDomains(System):
    """One generator for all domains: what it is to make is told by a code."""

    batch_type = Labelled
    translators = ("G",)
    G: nn.Module

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        codes = torch.tensor(task.codes) if task.codes else torch.eye(len(task.domains))
        self.codes: Tensor
        self.register_buffer("codes", codes, persistent=False)

    @abstractmethod
    def make(self, image: Image, code: Code) -> Translation:
        """Pictures that show what the codes say."""

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        return self.make(image, self.code_of(to).expand(len(image), -1))

    def code_of(self, to: str) -> Float[Tensor, " m"]:
        """The code of a domain."""
        return self.codes[self.task.domains.index(to)]
