"""What systems of one kind share: how they are built for a task, and how they translate."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from aggan.batches import Code, Image, Labelled, Paired, Translation, Unpaired, whole
from aggan.errors import UserError
from aggan.system import System, Task


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
