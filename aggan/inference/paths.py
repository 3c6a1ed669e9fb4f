"""From what a user names (files, folders, patterns) to sources and the names of their results."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aggan.data.listing import named_like
from aggan.errors import UserError
from aggan.images.convert import SUFFIXES
from aggan.images.encodings import FORMATS

PNG = ".png"
VIDEOS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""The suffixes of videos that can be written, and what their formats are called."""


class Results(NamedTuple):
    """How the results of one picture are called: same name and place below `--out`."""

    source: Path
    base: Path
    """Without a suffix; with the source's where another picture has the same name otherwise."""
    suffix: str
    """The source's where its format can be written, otherwise .png."""

    def picture(self, kind: str = "") -> Path:
        """The translated picture; `kind` tells several apart: `a.2.jpg`."""
        keeps_format = self.suffix == self.source.suffix
        return self.base.with_name((self.source.stem if keeps_format else self.base.name) + kind + self.suffix)

    def part(self, kind: str) -> Path:
        """What goes beside it, always PNG: `a.mask.png`."""
        return self.base.with_name(self.base.name + kind + PNG)

    def written(self, kinds: Sequence[str], parts: Sequence[str]) -> list[Path]:
        """All of them: `kinds` tell the pictures apart, `parts` what goes beside each."""
        return [self.picture(kind) for kind in kinds] + [self.part(kind + part) for kind in kinds for part in parts]


def plan(inputs: Sequence[str], out: Path, png: bool = False, missing: bool = False) -> list[Results]:
    """Each source and its results below `out`, in the source's format where that can be written, or all as PNG.

    Where two sources differ in their suffix only, what becomes PNG keeps it: `a.bmp.png`, `a.jpg.mask.png`. Where only
    what is `missing` is to be made, what lies below `out` is no source.
    """
    found = _found(inputs, _pictures, out if missing else None)
    if not found:
        raise UserError("no pictures to translate")
    stems = Counter(relative.with_suffix("") for relative in set(found.values()))
    planned = []
    for source, relative in found.items():
        base = relative if stems[relative.with_suffix("")] > 1 else relative.with_suffix("")
        planned.append(
            Results(source, out / base, source.suffix if source.suffix.lower() in FORMATS and not png else PNG)
        )
    return planned


def plan_videos(inputs: Sequence[str], out: Path, missing: bool = False) -> list[Results]:
    """The same for videos, which keep their format."""
    found = _found(inputs, _videos, out if missing else None)
    for source in found:
        if source.suffix.lower() not in VIDEOS:
            raise UserError(f"{source}: --video takes files that end in {', '.join(VIDEOS)}")
    if not found:
        raise UserError("no videos to translate")
    return [Results(source, out / relative.with_suffix(""), source.suffix) for source, relative in found.items()]


def check(planned: Sequence[Results], kinds: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` where something would be written twice, or over what is still to be read.

    `kinds` and `parts` as `Results.written` takes them.
    """
    written = [path for results in planned for path in results.written(kinds, parts)]
    sources = {results.source.resolve() for results in planned}
    for path in written:
        if path.resolve() in sources:
            raise UserError(f"{path} is a picture to translate and would be overwritten: choose another --out")
    path, times = Counter(written).most_common(1)[0]
    if times > 1:
        raise UserError(f"two pictures would become {path}: name their common folder, or choose an --out for each")


def require_free(planned: Sequence[Results], kinds: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` where a result would be written over another file of its source's own folder."""
    for results in planned:
        for path in results.written(kinds, parts):
            if os.path.lexists(path) and path.parent.resolve() == results.source.parent.resolve():
                raise UserError(
                    f"{path} is there already, beside {results.source.name}: choose another --out, "
                    "or keep what is there with --missing"
                )


def _listed(folder: Path, suffixes: Container[str], called: str) -> list[Path]:
    """The files of a folder, sorted, and the links that lead nowhere: they are missed where they are opened."""
    found = [path for path in named_like(folder, suffixes) if path.is_file() or not path.exists()]
    if not found:
        raise UserError(f"{folder}: no {called} here")
    return found


_pictures = partial(_listed, suffixes=SUFFIXES, called="pictures")
_videos = partial(_listed, suffixes=VIDEOS, called="videos")


def _found(inputs: Sequence[str], listed: Callable[[Path], list[Path]], besides: Path | None) -> dict[Path, Path]:
    """Each source, and where it lies below the folder that was named; there, nothing below `besides`."""
    try:
        made = besides.resolve() if besides else None
        return dict(pair for given in inputs for pair in _expand(given, listed, made))
    except OSError as why:
        raise UserError(f"{why.filename}: {why.strerror}") from why


def _expand(given: str, listed: Callable[[Path], list[Path]], made: Path | None) -> Iterator[tuple[Path, Path]]:
    path = Path(given)
    if not given:
        raise UserError("an input is empty: name a file, a folder or a pattern")
    if path.is_dir():
        inside = made is not None and path.resolve() in made.parents
        for file in listed(path):
            if not (inside and made in file.resolve().parents):
                yield file, file.relative_to(path)
    elif os.path.lexists(path):
        yield path, Path(path.name)
    else:
        matches = sorted(glob.glob(given, recursive=True))
        if not matches:
            raise UserError(f"{given}: no such file, folder or pattern")
        for match in matches:
            if Path(match).is_file() or not Path(match).exists():
                yield Path(match), Path(Path(match).name)
