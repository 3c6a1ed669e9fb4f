"""The order in which a training sees its pictures: a pure function of seed, epoch and process.

Reading a batch from the memory map takes some 50 microseconds, so there are no worker processes.
"""

from dataclasses import dataclass

import numpy as np

from aggan.batches import Unpaired
from aggan.data.images import to_tensor


@dataclass(frozen=True)
class UnpairedPictures:
    """Two domains; an epoch shows each picture of the larger one once."""

    x: np.ndarray
    y: np.ndarray
    batch: int
    seed: int
    flip: bool
    rank: int = 0
    world: int = 1
    """Processes that train together: `batch` is what each of them takes."""

    @property
    def steps_per_epoch(self) -> int:
        """A last, incomplete batch is left out (but for sets smaller than one)."""
        return max(1, max(len(self.x), len(self.y)) // (self.batch * self.world))

    def at(self, step: int) -> Unpaired:
        """The batch of one step of the whole training."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return Unpaired(self._draw(self.x, epoch, place, stream=0), self._draw(self.y, epoch, place, stream=1))

    def _draw(self, pictures: np.ndarray, epoch: int, place: int, stream: int):
        random = np.random.default_rng((self.seed, epoch, stream))
        needed = self.steps_per_epoch * self.batch * self.world
        rounds = -(-needed // len(pictures))
        order = np.concatenate([random.permutation(len(pictures)) for _ in range(rounds)])
        mirrored = random.random(needed) < 0.5
        first = (place * self.world + self.rank) * self.batch
        chosen = slice(first, first + self.batch)
        pixels = np.stack(
            [
                pictures[index, :, ::-1] if self.flip and mirror else pictures[index]
                for index, mirror in zip(order[chosen], mirrored[chosen], strict=True)
            ]
        )
        return to_tensor(pixels)
