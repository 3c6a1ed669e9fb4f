"""Settings of a preparation. The same settings and source give the same set."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aggan.data.originals.crop import CENTRED, Crop
from aggan.data.originals.source import Selection, SourceImage
from aggan.errors import UserError


class Settings(BaseModel, ABC):
    """Settings that all data sets share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """Name of the data set."""

    size: int = Field(default=256, ge=8, le=4096, description="Side of the images in pixels (256 in the paper).")

    @abstractmethod
    def select(self, src: Path) -> Selection:
        """Select the images of the original in `src`. Raises `UserError` if it is not this data set."""


class CroppedSettings(Settings):
    """Settings of a data set of the paper: training and test images, cropped at the same place."""

    seed: int = Field(default=0, ge=0, description="Seed of all random choices.")
    crop: Crop = Field(
        default=CENTRED,
        description="Square to keep: X and Y of its centre, as shares of width and height, "
        "and its side, as a share of the shorter side.",
    )


class SplitByPerson(CroppedSettings):
    """Settings of a data set that is split at random by person, as the paper does not say how it was split."""

    test_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the people in the test split (our choice)."
    )

    def split(self, images: list[SourceImage]) -> dict[str, list[SourceImage]]:
        """Split the images so that nobody is in both splits, and at least one person in each.

        Raises `UserError` if there is only one person.
        """
        people = people_in(images)
        if len(people) < 2:
            raise UserError(f"only one person, {people[0]}, is there, but training and test split need one each")
        count = min(max(1, round(self.test_share * len(people))), len(people) - 1)
        order = np.random.default_rng(self.seed).permutation(len(people))
        test_people = {people[index] for index in order[:count]}
        return {
            "train": [image for image in images if image.person not in test_people],
            "test": [image for image in images if image.person in test_people],
        }


def people_in(images: list[SourceImage]) -> list[str]:
    """The people in the images, sorted."""
    return sorted({str(image.person) for image in images})
