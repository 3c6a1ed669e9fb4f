"""From decoded domains to the batches that systems learn from, in an order that is a pure function of
seed, epoch and process.

Reading a batch from the memory map takes some 50 microseconds, so there are no worker processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aggan.data.annotations import face_masks
from aggan.data.cache import Decoded
from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.types import Crossing, Labelled, Masked, Paired, Unpaired


@dataclass(frozen=True)
class Order:
    """Which pictures each process takes at each step."""

    batch: int
    """Pictures of each domain that a process takes."""
    seed: int
    flip: bool
    rank: int = 0
    world: int = 1

    def steps(self, pictures: int) -> int:
        """Steps of an epoch; a last, incomplete batch is left out (but for sets smaller than one)."""
        return max(1, pictures // (self.batch * self.world))

    def draw(self, count: int, step: int, steps: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the pictures of one step, out of `count`, and which of them are mirrored."""
        epoch, place = divmod(step, steps)
        order, mirrored = _epoch(self.seed, epoch, stream, count, steps * self.batch * self.world)
        first = (place * self.world + self.rank) * self.batch
        chosen = slice(first, first + self.batch)
        return order[chosen], mirrored[chosen] & self.flip


@lru_cache(maxsize=8)
def _epoch(seed: int, epoch: int, stream: int, count: int, needed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng((seed, epoch, stream))
    order = np.concatenate([random.permutation(count) for _ in range(-(-needed // count))])
    return order, random.random(needed) < 0.5


def _take(pixels: np.ndarray, drawn: tuple[np.ndarray, np.ndarray]) -> Tensor:
    chosen = zip(*drawn, strict=True)
    return to_tensor(np.stack([pixels[index, :, ::-1] if mirror else pixels[index] for index, mirror in chosen]))


class Pictures(ABC):
    """Batches of one kind by the step of the whole training."""

    def __init__(self, domains: Sequence[Decoded], order: Order) -> None:
        self.domains, self.order = domains, order

    @property
    def steps_per_epoch(self) -> int:
        """An epoch shows each picture of the largest domain once."""
        return self.order.steps(max(len(domain) for domain in self.domains))

    @abstractmethod
    def at(self, step: int) -> Any:
        """The batch of one step."""

    def _draw(self, count: int, step: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
        return self.order.draw(count, step, self.steps_per_epoch, stream)


class UnpairedPictures(Pictures):
    """Two domains, each in an order of its own."""

    def at(self, step: int) -> Unpaired:
        x, y = (_take(d.pixels, self._draw(len(d), step, stream)) for stream, d in enumerate(self.domains))
        return Unpaired(x, y)


class PairedPictures(Pictures):
    """Two domains whose files of the same name and subfolder belong together."""

    def __init__(self, domains: Sequence[Decoded], order: Order) -> None:
        super().__init__(domains, order)
        x, y = map(_places, domains)
        self.pairs = [(x[name], y[name]) for name in sorted(x.keys() & y.keys())]
        if len(self.pairs) < 2:
            folders = " and ".join(str(domain.folder) for domain in domains)
            needed = f"files of the same name and subfolder in {folders}, where {len(self.pairs)} are"
            raise UserError(f"this system learns from pairs: {needed}")

    @property
    def steps_per_epoch(self) -> int:
        return self.order.steps(len(self.pairs))

    def at(self, step: int) -> Paired:
        drawn, mirrored = self._draw(len(self.pairs), step, 0)
        places = np.array(self.pairs)[drawn].T
        x, y = (_take(d.pixels, (where, mirrored)) for d, where in zip(self.domains, places, strict=True))
        return Paired(x, y)


def _places(domain: Decoded) -> dict[Path, int]:
    """The numbers of the pictures by their path below the domain's folder, without suffix."""
    places: dict[Path, int] = {}
    for place, file in enumerate(domain.files):
        first = places.setdefault(file.relative_to(domain.folder).with_suffix(""), place)
        if first != place:
            raise UserError(f"{file}: {domain.files[first].name} has that name too, so its pair is unclear: remove one")
    return places


class LabelledPictures(Pictures):
    """All domains in one pot; an epoch shows each picture once. Targets are other pictures' codes.

    A picture's code is its own where its domain has codes, otherwise its domain, one-hot.
    """

    def __init__(self, domains: Sequence[Decoded], order: Order) -> None:
        super().__init__(domains, order)
        one_hot = np.eye(len(domains), dtype=np.float32)
        codes = [np.repeat(one_hot[[k]], len(d), 0) if d.codes is None else d.codes for k, d in enumerate(domains)]
        self.codes = torch.from_numpy(np.concatenate(codes))
        self.places = [(k, place) for k, domain in enumerate(domains) for place in range(len(domain))]

    @property
    def steps_per_epoch(self) -> int:
        return self.order.steps(len(self.places))

    def at(self, step: int) -> Labelled:
        drawn, mirrored = self._draw(len(self.places), step, 0)
        pixels = [self.domains[k].pixels[place] for k, place in (self.places[index] for index in drawn)]
        others, _ = self._draw(len(self.places), step, 1)
        image = _take(np.stack(pixels), (np.arange(len(drawn)), mirrored))
        return Labelled(image, self.codes[drawn], self.codes[others])


class CrossingPictures(Pictures):
    """Two of many domains a step, the same two in every process."""

    def at(self, step: int) -> Crossing:
        a, b = _two_of(len(self.domains), self.order.seed, step)
        x, y = (_take(self.domains[k].pixels, self._draw(len(self.domains[k]), step, k)) for k in (a, b))
        return Crossing(x, y, a, b)


class MaskedPictures(Pictures):
    """The same with the masks of the faces."""

    def __init__(self, domains: Sequence[Decoded], order: Order) -> None:
        super().__init__(domains, order)
        self.masks = [face_masks(domain, domain.pixels.shape[1]) for domain in domains]
        self.pictures = CrossingPictures(domains, order)

    def at(self, step: int) -> Masked:
        x, y, a, b = self.pictures.at(step)
        return Masked(x, y, self._masks(a, step), self._masks(b, step), a, b)

    def _masks(self, k: int, step: int) -> Tensor:
        drawn = zip(*self._draw(len(self.domains[k]), step, k), strict=True)
        masks = [self.masks[k][place, :, ::-1] if mirror else self.masks[k][place] for place, mirror in drawn]
        return torch.from_numpy(np.stack(masks))[:, None].float() / 255


def _two_of(domains: int, seed: int, step: int) -> tuple[int, int]:
    a, b = np.random.default_rng((seed, step, 2)).permutation(domains)[:2]
    return int(a), int(b)


BATCHES: dict[type, type[Pictures]] = {
    Unpaired: UnpairedPictures,
    Paired: PairedPictures,
    Labelled: LabelledPictures,
    Crossing: CrossingPictures,
    Masked: MaskedPictures,
}
"""What makes the batches that a system learns from."""
