"""Create the folder of a study from folders of images. The folder appears complete or not at all."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aggan.errors import UserError
from aggan.io import require_not_below, require_output_folder, require_space
from aggan.study.images import MAX_SIZE, ImageWriter, find_images, shorter_sides
from aggan.study.plan import IMAGES, Pair, Plan, Settings, write_plan
from aggan.study.sampling import Images, Sample, TrialCounts, sample_pairs

BYTES_PER_PIXEL = 1.0
"""Of an image of a study: an estimate for the check of free space, which photographs exceed."""
EXAMPLES = 3


@dataclass(frozen=True)
class Sources:
    """The folders that images come from."""

    real: Path
    fakes: dict[str, Path]
    """Folder by method."""
    size: int | None = None
    """Side in pixels at which images are shown; None: the smallest of all, at most `MAX_SIZE`."""


@dataclass(frozen=True)
class CreatedStudy:
    """A new study, and what the experimenter should know about it."""

    plan: Plan
    matched: int
    """Number of pairs in which the real image has the name of the fake one."""
    size: int
    resized: bool
    """Whether any image had to be resized."""


def create_study(
    sources: Sources, counts: TrialCounts, settings: Settings, seed: int, out: Path, warn: Callable[[str], object]
) -> CreatedStudy:
    """Write a study to the new folder `out`, and call `warn` about each file that is left out.

    Raises `UserError` if `out` exists or cannot be written, or if images do not suffice.
    """
    if os.path.lexists(out):
        raise UserError(f"{out} already exists: choose another --out")
    require_not_below(out, (sources.real, *sources.fakes.values()), "--out")
    require_output_folder(out, "--out")
    real = find_images(sources.real, warn)
    fakes = {method: find_images(folder, warn) for method, folder in sources.fakes.items()}
    sample = sample_pairs(real, fakes, counts, Random(seed))
    _report_incomplete(fakes, warn)
    sides = shorter_sides(_sampled_files(sample, fakes))
    size = sources.size or min(MAX_SIZE, *sides)
    require_space(out, BYTES_PER_PIXEL * size**2 * len(sample.real) * (1 + len(fakes)), "the study")
    partial = out.with_name(f".{out.name}.tmp")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        writer = ImageWriter(partial / IMAGES, size)
        plan = _write_images(writer, sample, fakes, settings, seed)
        write_plan(partial, plan)
        writer.equalize_file_lengths()
        partial.chmod(0o700)  # the folder holds the answer key and, later, the participants' IDs
        partial.rename(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return CreatedStudy(plan, sample.matched, size, sides != {size})


def _report_incomplete(fakes: dict[str, Images], warn: Callable[[str], object]) -> None:
    """Name the images that are not used because a method has not translated them."""
    names = set.union(*map(set, fakes.values())) - set.intersection(*map(set, fakes.values()))
    if names:
        examples = ", ".join(sorted(names)[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
        warn(f"left out {len(names)} (not translated by every method): {examples}")


def _sampled_files(sample: Sample, fakes: dict[str, Images]) -> Iterator[Path]:
    yield from sample.real.values()
    yield from (images[name] for images in fakes.values() for name in sample.real)


def _write_images(writer: ImageWriter, sample: Sample, fakes: dict[str, Images], settings: Settings, seed: int) -> Plan:
    def write_pair(name: str) -> Pair:
        files = {method: writer.add(images[name]) for method, images in fakes.items()}
        return Pair(name=name, real=writer.add(sample.real[name]), fakes=files)

    def write_check(name: str) -> Pair:
        real = sample.real[name]
        return Pair(name=name, real=writer.add(real), fakes={"": writer.add_scrambled(real)})

    return Plan(
        study=secrets.token_hex(8),
        secret=secrets.token_hex(32),
        seed=seed,
        settings=settings,
        methods=tuple(fakes),
        trials=sample.trials,
        pairs=tuple(map(write_pair, sample.pairs)),
        practice=tuple(map(write_pair, sample.practice)),
        checks=tuple(map(write_check, sample.checks)),
    )
