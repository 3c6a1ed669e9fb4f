"""Test images: from folders to aligned arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import UInt8

from aggan.data.folders import list_images
from aggan.errors import UserError
from aggan.images.decode import Unreadable, read, square

Warn = Callable[[str], object]
"""Called with a message about each file that is left out."""


@dataclass(frozen=True)
class TestSet:
    """Folders of images that were held out of training, and the domain to translate them to."""

    __test__: ClassVar[bool] = False
    """Tells pytest that this is not a test case."""

    to: str
    inputs: Path
    ground_truth: Path | None = None
    """Ground-truth images under the names of the inputs."""
    real: Path | None = None
    """Real images of the domain `to` for the distances between sets; by default the ground truth."""
    source: str | None = None
    """The domain of the inputs, for methods that need to know it."""
    expression: str | None = None
    """The class that the classifier should predict; by default the domain `to`."""

    @property
    def target_class(self) -> str:
        return self.expression or self.to


class AlignedImages(NamedTuple):
    """The images of a test set."""

    names: list[str]
    """Path of each input below its folder, without suffix."""
    inputs: UInt8[np.ndarray, "n size size 3"]
    ground_truth: UInt8[np.ndarray, "n size size 3"] | None
    real: UInt8[np.ndarray, "m size size 3"] | None


def read_test_set(test_set: TestSet, size: int, warn: Warn) -> AlignedImages:
    """Read all images as squares of `size` px, and call `warn` for each file that is left out.

    Raises `UserError` if no image is left, or if the ground truth of an image cannot be read.
    """
    files = _files_by_name(test_set.inputs, warn)
    truth_files: dict[Path, Path] = {}
    if test_set.ground_truth is not None:
        truth_files = _files_by_name(test_set.ground_truth, warn)
        files = {name: file for name, file in files.items() if _has_partner(name, truth_files, warn)}
        if not files:
            raise UserError(
                f"no image in {test_set.ground_truth} has the name of one in {test_set.inputs}: "
                "leave out the ground truth, or give the images of a pair the same name"
            )
    names, inputs = _read(files, size, warn)
    truth = None
    if test_set.ground_truth is not None:
        truth = _read({name: truth_files[name] for name in names}, size, _refuse)[1]
    real = _read(_files_by_name(test_set.real, warn), size, warn)[1] if test_set.real else truth
    return AlignedImages([name.as_posix() for name in names], inputs, truth, real)


def _files_by_name(folder: Path, warn: Warn) -> dict[Path, Path]:
    files: dict[Path, Path] = {}
    for file in list_images(folder):
        name = file.relative_to(folder).with_suffix("")
        if files.setdefault(name, file) != file:
            warn(f"left out {file}: {files[name].name} has the same name")
    return files


def _has_partner(name: Path, truth_files: dict[Path, Path], warn: Warn) -> bool:
    if name not in truth_files:
        warn(f"left out {name}: no ground truth of this name")
    return name in truth_files


def _read(files: dict[Path, Path], size: int, warn: Warn) -> tuple[list[Path], UInt8[np.ndarray, "n size size 3"]]:
    names, images = [], []
    for name, file in files.items():
        try:
            images.append(square(read(file), size))
            names.append(name)
        except Unreadable as error:
            warn(f"left out {error}")
    if not images:
        raise UserError("none of the images could be read")
    return names, np.stack(images)


def _refuse(failure: str) -> None:
    raise UserError(f"a ground-truth image cannot be used: {failure}")
