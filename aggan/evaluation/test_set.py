"""Test images: from folders to aligned arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import UInt8

from aggan.data.cache import FULL_RANGE, OnProgress
from aggan.data.folders import DataConfig, find_folders, list_named
from aggan.data.listing import name_below
from aggan.errors import UserError
from aggan.images.decode import Unreadable, bits_of, decode, square
from aggan.io import normalized, printable

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
    bits: int | None = None
    """Bits that 16-bit files really use; by default those of the training images."""

    @property
    def target_class(self) -> str:
        return self.expression or self.to


@dataclass(frozen=True)
class TestFiles:
    """The image files of a test set by name: the path below their folder, without suffix, as `name_of` writes it."""

    __test__: ClassVar[bool] = False

    inputs: dict[str, Path]
    ground_truth: dict[str, Path] | None
    """The same names as the inputs."""
    real: dict[str, Path] | None

    def describe(self, test_set: TestSet) -> str:
        """What will be measured, in one line."""
        parts = [f"images of {test_set.inputs} ({len(self.inputs)})"]
        parts += [f"ground truth of each in {test_set.ground_truth}"] if self.ground_truth else []
        parts += [f"real images of {test_set.real} ({len(self.real)})"] if self.real else []
        return f"To {test_set.to}: {', '.join(parts)}"


class AlignedImages(NamedTuple):
    """The images of a test set."""

    names: list[str]
    inputs: UInt8[np.ndarray, "n size size 3"]
    ground_truth: UInt8[np.ndarray, "n size size 3"] | None
    real: UInt8[np.ndarray, "m size size 3"] | None


def find_test_set(test_set: TestSet, warn: Warn) -> TestFiles:
    """List the files of a test set, and call `warn` about each file that is left out.

    Raises `UserError` if no image is left.
    """
    inputs, truth = files_by_name(test_set.inputs, warn), None
    if test_set.ground_truth is not None:
        truth = files_by_name(test_set.ground_truth, warn)
        inputs = {name: file for name, file in inputs.items() if _has_partner(name, truth, warn)}
        truth = {name: truth[name] for name in inputs}
        if not inputs:
            raise UserError(
                f"no image in {test_set.ground_truth} has the name of one in {test_set.inputs}: "
                "leave out the ground truth, or give the images of a pair the same name"
            )
    return TestFiles(inputs, truth, files_by_name(test_set.real, warn) if test_set.real else None)


def read_test_set(
    files: TestFiles, size: int, bits: int | None, warn: Warn, on_progress: OnProgress | None = None
) -> AlignedImages:
    """Read all images as squares of `size` px, and call `warn` about each file that is left out.

    Raises `UserError` if no image is left, if the ground truth of an image cannot be read, or if the range of 16-bit
    images is unclear.
    """
    names, inputs = _read(files.inputs, size, bits, warn, on_progress)
    truth = None
    if files.ground_truth is not None:
        truth = _read({name: files.ground_truth[name] for name in names}, size, bits, _refuse, on_progress)[1]
    real = _read(files.real, size, bits, warn, on_progress)[1] if files.real else truth
    return AlignedImages(names, inputs, truth, real)


def name_of(file: Path, folder: Path) -> str:
    """The name of an image: its path below a folder, without suffix. Images of one name are pairs.

    Names are in Unicode's composed form and printable, so that every disk and every file of results can hold them.
    """
    return printable(name_below(file, folder).as_posix())


def find_test_folders(root: Path, domains: Sequence[str]) -> dict[str, Path]:
    """The folders of the test images of some domains below a root. Raises `UserError` if a domain has none."""
    usual = {domain: root / "test" / domain for domain in domains}
    if all(folder.is_dir() for folder in usual.values()):
        return usual
    folders = dict(find_folders(DataConfig(root=root, names=tuple(domains))).test)
    if missing := next((domain for domain in domains if normalized(domain) not in folders), None):
        raise UserError(f"{root}: no test images of {missing!r}, for example in {usual[missing]}")
    return {domain: folders[normalized(domain)] for domain in domains}


def files_by_name(folder: Path, warn: Warn) -> dict[str, Path]:
    """The images of a folder by name. `warn` is called about each file that is left out.

    Raises `UserError` if there is no image.
    """
    files: dict[str, Path] = {}
    listing = list_named(folder)
    for sentence in listing.sentences():
        warn(sentence)
    for file in listing.files:
        name = name_of(file, folder)
        if files.setdefault(name, file) != file:
            warn(f"left out {file}: {files[name].name} has the same name")
    return files


def _has_partner(name: str, truth_files: dict[str, Path], warn: Warn) -> bool:
    if name not in truth_files:
        warn(f"left out {name}: no ground truth of this name")
    return name in truth_files


def _read(
    files: dict[str, Path], size: int, bits: int | None, warn: Warn, on_progress: OnProgress | None
) -> tuple[list[str], UInt8[np.ndarray, "n size size 3"]]:
    names, images, peaks = [], [], {}
    for number, (name, file) in enumerate(files.items(), start=1):
        try:
            image, peak = decode(file, bits)
            images.append(square(image, size))
            names.append(name)
        except Unreadable as error:
            warn(f"left out {error}")
        else:
            peaks |= {file: peak} if peak else {}
        if on_progress:
            on_progress(number, len(files))
    if not images:
        raise UserError("none of the images could be read")
    if peaks and max(peaks.values()) < FULL_RANGE:
        peak = max(peaks.values())
        raise UserError(
            f"{next(iter(peaks))}: neither this nor another 16-bit image has a value above {peak}, so their range is "
            f"unclear: pass --bits {bits_of(peak)}, or --bits 16 if they are only dark"
        )
    return names, np.stack(images)


def _refuse(failure: str) -> None:
    raise UserError(f"a ground-truth image cannot be used: {failure}")
