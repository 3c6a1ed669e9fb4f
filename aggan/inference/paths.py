"""Output paths: which files the inputs name, and what the results of each are called. No torch is needed here."""

import glob
import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aggan.data.listing import list_entries
from aggan.errors import UserError
from aggan.images.formats import FORMATS, SUFFIXES

PNG = ".png"
PARTS = (".mask", ".content")
"""What `--masks` adds to a name: `a.mask.png`, `a.content.png`."""
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


def plan_images(inputs: Sequence[str], out: Path, png: bool = False, skip_existing: bool = False) -> list[OutputPaths]:
    """Find the images that `inputs` (files, folders, patterns) name, and plan their outputs below `out`.

    An output has the source's format if that can be written and `png` is false, otherwise PNG. Sources that differ
    only in their suffix keep it in PNG names: `a.bmp.png`, `a.jpg.mask.png`. With `skip_existing`, files below `out`
    are not sources. Raises `UserError` if an input does not exist or there are no images.
    """
    sources = _sources(inputs, SUFFIXES, "images", out if skip_existing else None)
    stems = Counter(relative.with_suffix("") for relative in set(sources.values()))
    plan = []
    for source, relative in sources.items():
        base = relative if stems[relative.with_suffix("")] > 1 else relative.with_suffix("")
        keeps_format = source.suffix.lower() in FORMATS and not png
        plan.append(OutputPaths(source, out / base, source.suffix if keeps_format else PNG))
    return plan


def plan_videos(inputs: Sequence[str], out: Path, skip_existing: bool = False) -> list[OutputPaths]:
    """Like `plan_images` for videos, which keep their format. Also raises `UserError` for an unknown suffix."""
    sources = _sources(inputs, VIDEOS, "videos", out if skip_existing else None)
    for source in sources:
        if source.suffix.lower() not in VIDEOS:
            raise UserError(f"{source}: --video only takes files that end in {', '.join(VIDEOS)}")
    return [OutputPaths(source, out / relative.with_suffix(""), source.suffix) for source, relative in sources.items()]


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


def require_free(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` if an output would overwrite another file of its source's own folder."""
    for paths in plan:
        for path in paths.all(versions, parts):
            if os.path.lexists(path) and path.parent.resolve() == paths.source.parent.resolve():
                raise UserError(
                    f"{path} already exists beside {paths.source.name}: choose another --out, "
                    "or keep existing files with --skip-existing"
                )


def shard(plan: Sequence[OutputPaths], rank: int, world_size: int) -> Sequence[OutputPaths]:
    """The part of the plan that process `rank` of `world_size` translates: every `world_size`-th image.

    All processes must pass the whole plan. If they divided only unfinished images, processes that start at different
    times would see different results, and would skip images or translate them twice.
    """
    return plan[rank::world_size]


def unfinished(plan: Sequence[OutputPaths], versions: Sequence[str], parts: Sequence[str]) -> list[OutputPaths]:
    """The sources that lack an output."""
    return [paths for paths in plan if not all(path.exists() for path in paths.all(versions, parts))]


def _sources(inputs: Sequence[str], suffixes: Container[str], kind: str, exclude: Path | None) -> dict[Path, Path]:
    """Each source and its path relative to the folder that was named, without what lies below `exclude`."""
    try:
        excluded = exclude.resolve() if exclude else None
        sources = dict(pair for name in inputs for pair in _expand(name, suffixes, kind, excluded))
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error
    if not sources:
        raise UserError(f"no {kind} to translate")
    return sources


def _expand(name: str, suffixes: Container[str], kind: str, excluded: Path | None) -> Iterator[tuple[Path, Path]]:
    path = Path(name)
    if not name:
        raise UserError("an input is empty: name a file, a folder or a pattern")
    if path.is_dir():
        contains_excluded = excluded is not None and path.resolve() in excluded.parents
        for file in _files(path, suffixes, kind):
            if not (contains_excluded and excluded in file.resolve().parents):
                yield file, file.relative_to(path)
    elif os.path.lexists(path):
        yield path, Path(path.name)
    else:
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise UserError(f"{name}: no such file, folder or pattern")
        for match in map(Path, matches):
            if _is_file_or_broken_link(match):
                yield match, Path(match.name)


def _files(folder: Path, suffixes: Container[str], kind: str) -> list[Path]:
    files = [path for path in list_entries(folder, suffixes) if _is_file_or_broken_link(path)]
    if not files:
        raise UserError(f"{folder}: no {kind} in this folder")
    return files


def _is_file_or_broken_link(path: Path) -> bool:
    # A broken link is reported when it is opened, as any other unreadable image is.
    return path.is_file() or not path.exists()
