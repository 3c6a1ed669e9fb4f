"""Output paths: which files the inputs name, and what the results of each are called. No torch is needed here."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aggan.data.listing import (
    PARTS,
    TRANSLATIONS,
    Listing,
    parts_of_translations,
    report_os_errors,
    scan,
    scan_images,
)
from aggan.errors import UserError
from aggan.images.formats import FORMATS
from aggan.io import unwritable_reason

PNG = ".png"
VIDEOS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes of videos that can be written, and FFmpeg's names of their formats."""


class OutputPaths(NamedTuple):
    """A source and its outputs. Names and subfolders below the output folder are those of the input."""

    source: Path
    base: Path
    """The output path without a suffix, or with the source's suffix if another source has the same stem."""
    suffix: str
    """The source's suffix if its format can be written, otherwise .png."""

    def image(self, version: str = "") -> Path:
        """The translated image, for example `a.jpg`, or `a.2.jpg` for the version `.2`."""
        keeps_format = self.suffix == self.source.suffix
        return self.base.with_name((self.source.stem if keeps_format else self.base.name) + version + self.suffix)

    def part(self, part: str) -> Path:
        """A mask or content image, always PNG: `a.mask.png`."""
        return self.base.with_name(self.base.name + part + PNG)

    def all(self, versions: Sequence[str], parts: Sequence[str]) -> list[Path]:
        """Every output: an image per version, and the parts of each."""
        images = [self.image(version) for version in versions]
        return images + [self.part(version + part) for version in versions for part in parts]


class Plan(NamedTuple):
    """What to translate, and what is left out."""

    paths: list[OutputPaths]
    left_out: list[str]
    """Sentences about files below the inputs that are no sources."""


def plan_images(inputs: Sequence[str], out: Path, png: bool = False, skip_existing: bool = False) -> Plan:
    """Find the images that `inputs` (files, folders, patterns) name, and plan their outputs below `out`.

    An output has the source's format if that can be written and `png` is false, otherwise PNG. Sources that differ
    only in their suffix keep it in PNG names: `a.bmp.png`, `a.jpg.mask.png`. Masks and contents of translations beside
    their images are not sources, and with `skip_existing` neither are files below `out`. Raises `UserError` if an
    input does not exist or there are no images.
    """
    sources = _Sources("images", scan_images, out if skip_existing else None)
    sources.add(inputs)
    sources.leave_out(TRANSLATIONS, _parts_among(sources.relative))
    stems = Counter(relative.with_suffix("") for relative in set(sources.relative.values()))
    paths = []
    for source, relative in sources.relative.items():
        base = relative if stems[relative.with_suffix("")] > 1 else relative.with_suffix("")
        keeps_format = source.suffix.lower() in FORMATS and not png
        paths.append(OutputPaths(source, out / base, source.suffix if keeps_format else PNG))
    return Plan(paths, sources.listing.sentences())


def plan_videos(inputs: Sequence[str], out: Path, skip_existing: bool = False) -> Plan:
    """Like `plan_images` for videos, which keep their format. Also raises `UserError` for an unknown suffix."""
    sources = _Sources("videos", partial(scan, suffixes=VIDEOS), out if skip_existing else None)
    sources.add(inputs)
    for source in sources.relative:
        if source.suffix.lower() not in VIDEOS:
            raise UserError(f"{source}: --video only takes files that end in {', '.join(VIDEOS)}")
    paths = [
        OutputPaths(source, out / relative.with_suffix(""), source.suffix)
        for source, relative in sources.relative.items()
    ]
    return Plan(paths, sources.listing.sentences())


def require_distinct(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` if a file would be written twice, or a source overwritten."""
    outputs = [path for paths in plan for path in paths.all(versions, parts)]
    sources = {paths.source.resolve() for paths in plan}
    for path in outputs:
        if path.resolve() in sources:
            raise UserError(f"{path} is an input and would be overwritten: choose another --out")
    path, count = Counter(outputs).most_common(1)[0]
    if count > 1:
        raise UserError(f"two inputs would be written to {path}: pass their common folder, or use an --out for each")
    folders = {paths.base.parent for paths in plan}
    folders |= {parent for folder in folders for parent in folder.parents}
    if path := next((path for path in outputs if path in folders), None):
        raise UserError(f"one input would be written to {path}, and another one below it: use an --out for each")


def require_free(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` if an output would overwrite another file of its source's own folder."""
    for paths in plan:
        for path in paths.all(versions, parts):
            if os.path.lexists(path) and path.parent.resolve() == paths.source.parent.resolve():
                raise UserError(
                    f"{path} already exists beside {paths.source.name}: choose another --out, "
                    "or keep existing files with --skip-existing"
                )


def obstacles(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> dict[Path, str]:
    """The sources with an output that cannot be written under its name, and why."""
    failures = {}
    for paths in plan:
        for path in paths.all(versions, parts):
            if reason := unwritable_reason(path):
                failures[paths.source] = f"{paths.source}: {path.name} cannot be written to {path.parent}: {reason}"
                break
    return failures


def shard(plan: Sequence[OutputPaths], rank: int, world_size: int) -> Sequence[OutputPaths]:
    """The part of the plan that process `rank` of `world_size` translates: every `world_size`-th image.

    All processes must pass the whole plan. If they divided only unfinished images, processes that start at different
    times would see different results, and would skip images or translate them twice.
    """
    return plan[rank::world_size]


def unfinished(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> list[OutputPaths]:
    """The sources that lack an output."""
    return [paths for paths in plan if not all(map(os.path.isfile, paths.all(versions, parts)))]


class _Sources:
    """Collects each source and its path relative to the folder that was named, without what lies below `excluded`."""

    def __init__(self, kind: str, list_folder: Callable[[Path], Listing], excluded: Path | None) -> None:
        self.kind, self.list_folder = kind, list_folder
        self.excluded = excluded.resolve() if excluded else None
        self.relative: dict[Path, Path] = {}
        self.listing = Listing()

    def add(self, inputs: Sequence[str]) -> None:
        """Find the sources that files, folders and patterns name. Raises `UserError`."""
        try:
            for name in inputs:
                self.relative.update(self._expand(name))
        except OSError as error:
            raise UserError(f"{error.filename}: {error.strerror}") from error
        if not self.relative:
            raise UserError(f"no {self.kind} to translate")

    def leave_out(self, reason: str, paths: Iterable[Path]) -> None:
        """Remove sources, and record them as left out."""
        for path in sorted(paths):
            self.relative.pop(path, None)
            self.listing.leave_out(reason, path)

    def _expand(self, name: str) -> Iterator[tuple[Path, Path]]:
        path = Path(name)
        if not name:
            raise UserError("an input is empty: name a file, a folder or a pattern")
        if path.is_dir():
            yield from ((file, file.relative_to(path)) for file in self._files(path))
        elif os.path.lexists(path):
            yield path, Path(path.name)
        else:
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise UserError(f"{name}: no such file, folder or pattern")
            for match in map(Path, matches):
                if _is_file_or_broken_link(match):
                    yield match, Path(match.name)

    def _files(self, folder: Path) -> list[Path]:
        listing = self.list_folder(folder)
        contains_excluded = self.excluded is not None and folder.resolve() in self.excluded.parents

        def is_included(path: Path) -> bool:
            return not (contains_excluded and self.excluded in path.resolve().parents)

        for reason, paths in listing.left_out.items():
            self.leave_out(reason, filter(is_included, paths))
        files = [path for path in listing.files if _is_file_or_broken_link(path)]
        if not files:
            raise UserError(". ".join([f"{folder}: no {self.kind} in this folder", *listing.sentences()]))
        return [path for path in files if is_included(path)]


@report_os_errors()
def _parts_among(sources: Collection[Path]) -> Set[Path]:
    """The masks and contents of translations among the sources, unless there is nothing else to translate."""
    named = {path for path in sources if path.stem.endswith(PARTS)}
    beside = {file for folder in {path.parent for path in named} for file in folder.iterdir()}
    parts = named & parts_of_translations(beside)
    return parts if len(parts) < len(sources) else set()


def _is_file_or_broken_link(path: Path) -> bool:
    # A broken link is reported when it is opened, as any other unreadable image is.
    return path.is_file() or not path.exists()
