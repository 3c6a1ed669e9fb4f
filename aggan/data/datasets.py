"""Data sets: from decoded domains to the batches of a training.

The batch of a step depends on nothing but the seed, the step and the rank. Reading one from the memory map takes
about 50 microseconds, so there are no worker processes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, UInt8, UInt16

from aggan.data.annotations import face_masks
from aggan.data.cache import DecodedDomain
from aggan.data.listing import name_below
from aggan.errors import UserError
from aggan.images.convert import to_tensor
from aggan.types import CrossDomainBatch, LabelledBatch, Mask, MaskedBatch, Needs, PairedBatch, UnpairedBatch

Batch = TypeVar("Batch")
Indices = Int[np.ndarray, " n"]
Mirrored = Bool[np.ndarray, " n"]
"""Which images are mirrored."""


class Draw(NamedTuple):
    """The images of a batch, and what is shown of each."""

    indices: Indices
    mirrored: Mirrored
    corners: UInt16[np.ndarray, "n 2"]
    """Row and column at which each crop begins."""
    margin: int
    """Pixels by which images are larger than crops."""

    def cut(self, images: UInt8[np.ndarray, "images h w *channels"]) -> UInt8[np.ndarray, "n h2 w2 *channels"]:
        """The crops of the images, some of them mirrored."""
        height, width = (side - self.margin for side in images.shape[1:3])
        crops = []
        for index, mirror, (row, column) in zip(self.indices, self.mirrored, self.corners.tolist(), strict=True):
            crop = images[index, row : row + height, column : column + width]
            crops.append(crop[:, ::-1] if mirror else crop)
        return np.stack(crops)


@dataclass(frozen=True)
class Sampler:
    """Draws the images of each step and rank.

    Every epoch is a new permutation. Several streams of one sampler are independent.
    """

    batch_size: int
    """Images of each domain per process."""
    seed: int
    flip: bool
    """Mirror half of the images."""
    rank: int = 0
    world_size: int = 1
    balance: bool = False
    """Draw each domain equally often where all domains are drawn from together."""
    margin: int = 0
    """Pixels by which the images are larger than the random crops of a batch."""

    def steps_per_epoch(self, images: int) -> int:
        """Number of complete batches in `images` images, at least 1."""
        return max(1, images // (self.batch_size * self.world_size))

    def draw(self, images: int, step: int, steps_per_epoch: int, stream: int) -> Draw:
        """Draw the batch of a step out of `images` images."""
        epoch, batch = divmod(step, steps_per_epoch)
        order, mirrored = _epoch(self.seed, epoch, stream, images, self._count(steps_per_epoch))
        return self._draw(order, mirrored, epoch, batch, stream)

    def draw_balanced(self, domains: tuple[int, ...], step: int, steps_per_epoch: int, stream: int) -> Draw:
        """Draw the batch of a step out of all domains, each equally often; `domains` are their numbers of images.

        The indices are those of the images of all domains in order.
        """
        epoch, batch = divmod(step, steps_per_epoch)
        order, mirrored = _balanced_epoch(self.seed, epoch, stream, domains, self._count(steps_per_epoch))
        return self._draw(order, mirrored, epoch, batch, stream)

    def _count(self, steps_per_epoch: int) -> int:
        """Number of draws in an epoch, of all processes."""
        return steps_per_epoch * self.batch_size * self.world_size

    def _draw(self, order: Indices, mirrored: Mirrored, epoch: int, batch: int, stream: int) -> Draw:
        """The draws of an epoch that this process takes in its `batch`-th step."""
        first = (batch * self.world_size + self.rank) * self.batch_size
        these = slice(first, first + self.batch_size)
        corners = _corners(self.seed, epoch, stream, len(order), self.margin)
        return Draw(order[these], mirrored[these] & self.flip, corners[these], self.margin)


@lru_cache(maxsize=8)
def _balanced_epoch(
    seed: int, epoch: int, stream: int, domains: tuple[int, ...], count: int
) -> tuple[Indices, Mirrored]:
    """Draw `count` images, in turns of all domains; an image is repeated only after all others of its domain."""
    turns, mirrored = _epoch(seed, epoch, stream, len(domains), count)
    order = np.empty_like(turns)
    for k, images in enumerate(domains):
        is_turn = turns == k
        if count_of_domain := int(is_turn.sum()):
            # Streams 0 to 2 have other uses.
            drawn, _ = _epoch(seed, epoch, 3 + stream * len(domains) + k, images, count_of_domain)
            order[is_turn] = sum(domains[:k]) + drawn
    return order, mirrored


@lru_cache(maxsize=8)
def _epoch(seed: int, epoch: int, stream: int, images: int, count: int) -> tuple[Indices, Mirrored]:
    """Draw `count` images; an image is repeated only after all others were drawn."""
    random = np.random.default_rng((seed, epoch, stream))
    order = np.concatenate([random.permutation(images) for _ in range(-(-count // images))])
    return order[:count], random.random(count) < 0.5


@lru_cache(maxsize=8)
def _corners(seed: int, epoch: int, stream: int, count: int, margin: int) -> UInt16[np.ndarray, "count 2"]:
    """Draw the corners of `count` crops. Their own generator leaves order and flips as they are without crops."""
    if not margin:
        return np.zeros((count, 2), np.uint16)
    return np.random.default_rng((seed, epoch, stream, 1)).integers(margin + 1, size=(count, 2), dtype=np.uint16)


class Dataset(ABC, Generic[Batch]):
    """Batches of one kind, by training step."""

    def __init__(self, domains: Sequence[DecodedDomain], sampler: Sampler) -> None:
        self.domains, self.sampler = domains, sampler

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each image of the largest domain is drawn once."""
        return self.sampler.steps_per_epoch(max(len(domain) for domain in self.domains))

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from the start of the training."""

    def _draw(self, images: int, step: int, stream: int) -> Draw:
        return self.sampler.draw(images, step, self.steps_per_epoch, stream)


class UnpairedDataset(Dataset[UnpairedBatch]):
    """Two domains, drawn independently."""

    def batch(self, step: int) -> UnpairedBatch:
        x, y = (to_tensor(self._draw(len(d), step, stream).cut(d.pixels)) for stream, d in enumerate(self.domains))
        return UnpairedBatch(x, y)


class PairedDataset(Dataset[PairedBatch]):
    """Two domains whose files of the same name and subfolder are pairs.

    Raises `UserError` if there are fewer than two pairs, or two files of a domain differ in their suffix only.
    """

    def __init__(self, domains: Sequence[DecodedDomain], sampler: Sampler) -> None:
        super().__init__(domains, sampler)
        x, y = map(_indices_by_name, domains)
        self.pairs = [(x[name], y[name]) for name in sorted(x.keys() & y.keys())]
        """Indices of the images in both domains."""
        if len(self.pairs) < 2:
            folders = " and ".join(str(domain.folder) for domain in domains)
            raise UserError(
                "this method needs at least two pairs, files of the same name and subfolder in "
                f"{folders}; found {len(self.pairs)}"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which each pair is drawn once."""
        return self.sampler.steps_per_epoch(len(self.pairs))

    def batch(self, step: int) -> PairedBatch:
        draw = self._draw(len(self.pairs), step, 0)
        indices = np.array(self.pairs)[draw.indices].T
        draws = zip(self.domains, indices, strict=True)
        x, y = (to_tensor(draw._replace(indices=drawn).cut(d.pixels)) for d, drawn in draws)
        return PairedBatch(x, y)


def _indices_by_name(domain: DecodedDomain) -> dict[PurePath, int]:
    """Indices of the images by their path below the domain's folder, without suffix."""
    indices: dict[PurePath, int] = {}
    for index, file in enumerate(domain.files):
        first = indices.setdefault(name_below(file, domain.folder), index)
        if first != index:
            raise UserError(f"{file}: {domain.files[first].name} has that name too, so its pair is unclear: remove one")
    return indices


class LabelledDataset(Dataset[LabelledBatch]):
    """The images of all domains together; target codes are those of other images, drawn independently.

    The code of an image is its own if its domain has codes (action units), otherwise its domain, one-hot.
    """

    def __init__(self, domains: Sequence[DecodedDomain], sampler: Sampler) -> None:
        super().__init__(domains, sampler)
        one_hot = np.eye(len(domains), dtype=np.float32)
        codes: list[Float32[np.ndarray, "n m"]] = [
            np.repeat(one_hot[[k]], len(d), 0) if d.codes is None else d.codes for k, d in enumerate(domains)
        ]
        self.codes = torch.from_numpy(np.concatenate(codes))
        self.images = [(k, index) for k, domain in enumerate(domains) for index in range(len(domain))]
        """Domain and index of each image."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps with as many draws as there are images. Unless they are balanced, each image is drawn once."""
        return self.sampler.steps_per_epoch(len(self.images))

    def batch(self, step: int) -> LabelledBatch:
        draw = self._draw_any(step, 0)
        sources, targets = draw.indices, self._draw_any(step, 1).indices
        pixels = [self.domains[k].pixels[index] for k, index in (self.images[source] for source in sources)]
        image = to_tensor(draw._replace(indices=np.arange(len(sources))).cut(np.stack(pixels)))
        return LabelledBatch(image, self.codes[sources], self.codes[targets])

    def _draw_any(self, step: int, stream: int) -> Draw:
        if self.sampler.balance:
            lengths = tuple(len(domain) for domain in self.domains)
            return self.sampler.draw_balanced(lengths, step, self.steps_per_epoch, stream)
        return self._draw(len(self.images), step, stream)


class CrossDomainDataset(Dataset[CrossDomainBatch]):
    """Two of many domains per step, the same two in every process."""

    def batch(self, step: int) -> CrossDomainBatch:
        a, b = _two_domains(len(self.domains), self.sampler.seed, step)
        x, y = (to_tensor(self._draw(len(self.domains[k]), step, k).cut(self.domains[k].pixels)) for k in (a, b))
        return CrossDomainBatch(x, y, a, b)


class MaskedDataset(Dataset[MaskedBatch]):
    """A `CrossDomainDataset` with the masks of the faces."""

    def __init__(self, domains: Sequence[DecodedDomain], sampler: Sampler) -> None:
        super().__init__(domains, sampler)
        self.masks = [face_masks(domain, domain.pixels.shape[1]) for domain in domains]
        self.images = CrossDomainDataset(domains, sampler)

    def batch(self, step: int) -> MaskedBatch:
        x, y, a, b = self.images.batch(step)
        return MaskedBatch(x, y, self._masks(a, step), self._masks(b, step), a, b)

    def _masks(self, k: int, step: int) -> Mask:
        masks = self._draw(len(self.domains[k]), step, k).cut(self.masks[k])
        return torch.from_numpy(masks)[:, None].float() / 255


def _two_domains(domains: int, seed: int, step: int) -> tuple[int, int]:
    a, b = np.random.default_rng((seed, step, 2)).permutation(domains)[:2]
    return int(a), int(b)


DATASETS: dict[Needs, type[Dataset]] = {
    Needs.UNPAIRED: UnpairedDataset,
    Needs.PAIRED: PairedDataset,
    Needs.LABELLED: LabelledDataset,
    Needs.ACTION_UNITS: LabelledDataset,
    Needs.CROSS_DOMAIN: CrossDomainDataset,
    Needs.MASKED: MaskedDataset,
}
"""The data set that makes the batches a method needs. For action units, the domains have codes."""
