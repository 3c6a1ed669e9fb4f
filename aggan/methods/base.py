"""The contract of a method: networks, and the updates they take in one training step.

    n, h, w    images in a batch, height and width in pixels
    m          length of a code

For each step the trainer calls `forward` once, so that every image of the step is generated once. Then it runs the
updates that are scheduled, in order. Only the networks of an update learn; gradients flow through all others, which
are frozen meanwhile. A loss is a table of weighted terms, and their sum is minimised.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from aggan.errors import UserError
from aggan.types import (
    Code,
    CrossDomainBatch,
    Image,
    LabelledBatch,
    Mask,
    MaskedBatch,
    Needs,
    PairedBatch,
    Translation,
    UnpairedBatch,
)

Batch = TypeVar("Batch")
Outputs = TypeVar("Outputs")

LossTerms = dict[str, Tensor]
"""Weighted scalar terms of a loss by name; the journal keeps each of them."""


class Progress(NamedTuple):
    """How far the training is. Every schedule is a function of it, so a resumed run continues exactly."""

    step: int = 0
    steps_per_epoch: int = 1
    fraction: float = 0.0
    """The part of the whole training that is done, in [0, 1]."""
    shift: int = 0
    """`step + shift` counts steps of the current batch size and data: not 0 after a resume with another batch size."""

    @property
    def epoch(self) -> int:
        return (self.step + self.shift) // self.steps_per_epoch


class Task(NamedTuple):
    """What a method is built for."""

    domains: tuple[str, ...]
    size: int
    """Side of the training images in pixels."""
    codes: tuple[tuple[float, ...], ...] = ()
    """The mean code of each domain, where single images have codes (action units)."""

    @property
    def code_length(self) -> int:
        """m: the number of domains where images have no codes of their own."""
        return len(self.codes[0]) if self.codes else len(self.domains)


When = Callable[[Progress], bool]


def always(progress: Progress) -> bool:
    """Every step."""
    return True


def every(steps: int) -> When:
    """Every `steps`-th step, the last of each round: the steps of a critic come first."""
    return lambda progress: (progress.step + 1) % steps == 0


def during(first: float, last: float) -> When:
    """While the fraction of the training that is done lies in [first, last)."""
    return lambda progress: first <= progress.fraction < last


def nothing() -> None:
    """The default of `Update.after`."""


@dataclass(frozen=True)
class Update(Generic[Batch, Outputs]):
    """One optimizer step of some networks on one loss."""

    name: str
    loss: Callable[[Batch, Outputs], LossTerms]
    networks: tuple[str, ...]
    """Attribute names of the networks that learn."""
    when: When = always
    lr_scale: float = 1.0
    """Multiplies the learning rate of the training configuration."""
    betas: tuple[float, float] | None = None
    """Adam's betas where they differ from the training configuration."""
    after: Callable[[], None] = nothing
    """Called after the optimizer step, for example to clip weights."""
    real_inputs: Callable[[Batch, Outputs], dict[str, Tensor]] | None = None
    """What the discriminators that learn here see of real images, by name. `training.r1` needs it."""


class About(NamedTuple):
    """Where a method comes from."""

    title: str
    paper: str


class MethodConfig(BaseModel, ABC):
    """All settings of a method, named as in its paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: ClassVar[About]
    needs: ClassVar[Needs]

    def require_batch(self, batch: int) -> None:
        """Raise `UserError` if the method cannot learn from batches of this size."""

    @abstractmethod
    def build(self, task: Task) -> "Method":
        """The untrained method. Raises `UserError` if it does not fit the task."""


class Method(nn.Module, ABC, Generic[Batch, Outputs]):
    """The networks of a method, the updates that train them, and the translation."""

    inference_networks: ClassVar[tuple[str, ...]]
    """Attribute names of the networks that `translate` uses; a model file holds these."""
    fixed_size: ClassVar[bool] = False
    """Whether images must have the training size."""
    depends_on_place: ClassVar[bool] = False
    """Whether `translate` treats a pixel by its place in the image, so that tiles of it cannot be translated."""
    stochastic: ClassVar[bool] = False
    """Whether `translate` draws random numbers."""
    adaptive_augmentation: ClassVar[bool] = False
    """Whether its discriminators learn with least squares and their augmentation observes the scores of real images.

    `discriminate` does; `training.augment_target` needs it.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.progress = Progress()
        """Set by the trainer before each step."""

    @abstractmethod
    def forward(self, batch: Batch) -> Outputs:
        """All images that the losses of a step share."""

    @abstractmethod
    def updates(self) -> tuple[Update[Batch, Outputs], ...]:
        """The updates of one step, in order."""

    @abstractmethod
    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        """Translate images (n, 3, h, w) to the domain `to`; few methods need to know their `source` domain."""

    def prepare(self, batches: Iterable[Batch]) -> None:
        """Gather statistics from some batches before the first step."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The domains that it can translate to."""
        return self.task.domains

    def require_target(self, to: str) -> None:
        """Raise `UserError` unless `translate` accepts `to`."""
        if to not in self.targets:
            raise UserError(f"no domain {to!r} in this model; it translates to {' and '.join(self.targets)}")

    def masks(self, outputs: Outputs) -> dict[str, Mask]:
        """The attention masks of a step by name; the journal keeps their mean and standard deviation."""
        return {}

    def mask_advice(self, empty: bool) -> str:
        """What to change when a mask collapses: `empty` if it vanishes, otherwise it covers everything."""
        return ""

    @property
    def mask_may_recover(self) -> bool:
        """Whether the losses, at this point of their schedule, still let a collapsed mask recover by itself."""
        return True

    def inference_state_dict(self) -> dict[str, Tensor]:
        """The weights that a model file holds, by name."""
        return {
            f"{name}.{key}": value
            for name in self.inference_networks
            for key, value in self.get_submodule(name).state_dict().items()
        }

    def load_inference_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `inference_state_dict` returned."""
        for name in self.inference_networks:
            prefix = f"{name}."
            own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            self.get_submodule(name).load_state_dict(own)


def require_two_domains(task: Task, name: str) -> None:
    """Raise `UserError` unless there are exactly two domains."""
    if len(task.domains) != 2:
        given = ", ".join(task.domains)
        raise UserError(f"{name} translates between two domains, but there are {given}: choose with --data.names X Y")


def require_size(task: Task, name: str, fits: bool, allowed: str) -> None:
    """Raise `UserError` that names the allowed sizes unless the size fits."""
    if not fits:
        raise UserError(f"{name} needs images of {allowed} px, not {task.size}: set --data.size")


def require_multiple_of_64(task: Task, name: str) -> None:
    """Raise `UserError` unless StarGAN's discriminator fits the images."""
    require_size(task, name, task.size >= 64 and task.size % 64 == 0, "64, 128, 192, 256, ...")


class TwoWayOutputs(NamedTuple):
    """Both translations of a step."""

    y: Image
    x: Image


class TwoWayMethod(Method[UnpairedBatch, TwoWayOutputs]):
    """Two unpaired domains and a generator for each direction: G_y = G_xy(x), G_x = G_yx(y)."""

    inference_networks = ("G_xy", "G_yx")
    G_xy: nn.Module
    G_yx: nn.Module

    def forward(self, batch: UnpairedBatch) -> TwoWayOutputs:
        return TwoWayOutputs(y=self.G_xy(batch.x), x=self.G_yx(batch.y))

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        x, y = self.task.domains
        return Translation({y: self.G_xy, x: self.G_yx}[to](image))


def real_of_both(real: UnpairedBatch, outputs: TwoWayOutputs) -> dict[str, Tensor]:
    """`Update.real_inputs` of two discriminators D_x and D_y of single images."""
    return {"D_x": real.x, "D_y": real.y}


def real_of_pair(real: CrossDomainBatch | MaskedBatch, outputs: TwoWayOutputs) -> dict[str, Tensor]:
    """`Update.real_inputs` of two of many discriminators, those of the a-th and the b-th domain."""
    return {f"discriminators.{real.a}": real.x, f"discriminators.{real.b}": real.y}


class OneWayMethod(Method[Batch, Outputs]):
    """From X to Y only."""

    inference_networks = ("G",)
    G: nn.Module

    @property
    def targets(self) -> tuple[str, ...]:
        return self.task.domains[1:]

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        return Translation(self.G(image))


class PairedMethod(OneWayMethod[PairedBatch, Outputs]):
    """Learns from pairs: y is the ground truth for x."""


class ManyDomainMethod(Method[LabelledBatch, Outputs]):
    """One generator for all domains, conditioned on a code."""

    inference_networks = ("G",)
    G: nn.Module

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        codes = torch.tensor(task.codes) if task.codes else torch.eye(len(task.domains))
        self.codes: Tensor
        self.register_buffer("codes", codes, persistent=False)

    @abstractmethod
    def generate(self, image: Image, code: Code) -> Translation:
        """Translate each image to its code."""

    def translate(self, image: Image, to: str, source: str | None = None) -> Translation:
        return self.generate(image, self.code_of(to).expand(len(image), -1))

    def code_of(self, to: str) -> Float[Tensor, " m"]:
        """The code of a domain."""
        return self.codes[self.task.domains.index(to)]
