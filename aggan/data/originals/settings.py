"""What decides which pictures are made: the same settings and source give the same set."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aggan.data.originals.photographs import Found, Photograph
from aggan.errors import UserError

Share = Annotated[float, Field(gt=0, le=1)]
Place = Annotated[float, Field(ge=0, le=1)]
Crop = tuple[Place, Place, Share]
CENTRED: Crop = (0.5, 0.5, 1.0)


class Settings(BaseModel, ABC):
    """Settings that all data sets share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]

    seed: int = Field(default=0, ge=0, description="Seed of every random choice.")
    size: int = Field(default=256, ge=8, le=4096, description="Side of the pictures in pixels (the paper: 256).")
    crop: Crop = Field(
        default=CENTRED,
        description="The square to keep: its centre (shares of width and height) and side (share of the shorter side).",
    )

    @abstractmethod
    def find(self, src: Path) -> Found:
        """What to take from the original at `src`; raises `UserError`."""


class ByPerson(Settings):
    """Settings of a data set that is split by person, as the paper does not say how it was."""

    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of the people who are only tested on (ours).")

    def split(self, photographs: list[Photograph]) -> dict[str, list[Photograph]]:
        """Train and test without a person in both, at least one person in each."""
        people = people_of(photographs)
        if len(people) < 2:
            raise UserError(f"only the person {people[0]} is there, but training and testing need one each")
        count = min(max(1, round(self.test_share * len(people))), len(people) - 1)
        order = np.random.default_rng(self.seed).permutation(len(people))
        held_out = {people[index] for index in order[:count]}
        return {
            "train": [photograph for photograph in photographs if photograph.person not in held_out],
            "test": [photograph for photograph in photographs if photograph.person in held_out],
        }


def people_of(photographs: list[Photograph]) -> list[str]:
    """Everybody who is on the photographs, sorted."""
    return sorted({str(photograph.person) for photograph in photographs})
