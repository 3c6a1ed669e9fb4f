"""From what a user names (files, folders, patterns) to sources and the names of their results."""

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aggan.data.encodings import FORMATS
from aggan.data.folders import files_of, pictures
from aggan.errors import UserError

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


def plan(inputs: Sequence[str], out: Path, png: bool = False) -> list[Results]:
    """Each source and its results below `out`, in the source's format where that can be written, or all as PNG.

    Where two sources differ in their suffix only, what becomes PNG keeps it: `a.bmp.png`, `a.jpg.mask.png`.
    """
    found = dict(pair for given in inputs for pair in _expand(given, pictures))
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


def plan_videos(inputs: Sequence[str], out: Path) -> list[Results]:
    """The same for videos, which keep their format."""
    found = dict(pair for given in inputs for pair in _expand(given, _videos))
    for source in found:
        if source.suffix.lower() not in VIDEOS:
            raise UserError(f"{source}: --video takes files that end in {', '.join(VIDEOS)}")
    if not found:
        raise UserError("no videos to translate")
    return [Results(source, out / relative.with_suffix(""), source.suffix) for source, relative in found.items()]


def check(planned: Sequence[Results], kinds: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `UserError` where something would be written twice, or over what is still to be read.

    `kinds` tell the pictures apart that are made of one source, `parts` what goes beside each of them.
    """
    written = [results.picture(kind) for results in planned for kind in kinds]
    written += [results.part(kind + part) for results in planned for kind in kinds for part in parts]
    sources = {results.source.resolve() for results in planned}
    for path in written:
        if path.resolve() in sources:
            raise UserError(f"{path} is a picture to translate and would be overwritten: choose another --out")
    path, times = Counter(written).most_common(1)[0]
    if times > 1:
        raise UserError(f"two pictures would become {path}: name their common folder, or choose an --out for each")


def _videos(folder: Path) -> Sequence[Path]:
    found = files_of(folder, VIDEOS)
    if not found:
        raise UserError(f"{folder}: no videos here")
    return found


def _expand(given: str, listed: Callable[[Path], Iterable[Path]]) -> Iterator[tuple[Path, Path]]:
    path = Path(given)
    if path.is_dir():
        yield from ((file, file.relative_to(path)) for file in listed(path))
    elif path.exists():
        yield path, Path(path.name)
    else:
        matches = sorted(glob.glob(given, recursive=True))
        if not matches:
            raise UserError(f"{given}: no such file, folder or pattern")
        for match in matches:
            if Path(match).is_file():
                yield Path(match), Path(Path(match).name)
