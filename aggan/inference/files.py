"""From what a user names (files, folders, patterns) to sources and the names of their results."""

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from aggan.data.folders import pictures
from aggan.errors import UserError


def plan(inputs: Sequence[str], out: Path) -> list[tuple[Path, Path]]:
    """Each source with its result: same name and place below `out`, as PNG, which keeps every pixel exact.

    Where two sources differ in their suffix only, their results keep it: `a.jpg.png`.
    """
    found = dict(pair for given in inputs for pair in _expand(given))
    if not found:
        raise UserError("no pictures to translate")
    stems = Counter(relative.with_suffix("") for relative in found.values())
    planned = []
    for source, relative in found.items():
        clash = stems[relative.with_suffix("")] > 1
        target = out / (relative.with_name(relative.name + ".png") if clash else relative.with_suffix(".png"))
        if target.resolve() == source.resolve():
            raise UserError(f"{source} would be overwritten by its own translation: choose another --out")
        planned.append((source, target))
    if len({target for _, target in planned}) < len(planned):
        raise UserError("two pictures have the same name in different folders: name their common folder instead")
    return planned


def _expand(given: str) -> Iterator[tuple[Path, Path]]:
    path = Path(given)
    if path.is_dir():
        yield from ((file, file.relative_to(path)) for file in pictures(path))
    elif path.exists():
        yield path, Path(path.name)
    else:
        matches = sorted(glob.glob(given, recursive=True))
        if not matches:
            raise UserError(f"{given}: no such file, folder or pattern")
        for match in matches:
            if Path(match).is_file():
                yield Path(match), Path(Path(match).name)
