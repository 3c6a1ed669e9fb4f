"""From what a user names (files, folders, patterns) to sources and the names of their results."""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from aggan.data.folders import pictures
from aggan.errors import UserError


def plan(inputs: Sequence[str], out: Path, kinds: Sequence[str] = ("",)) -> list[tuple[Path, Path]]:
    """Each source with its result: same name and place below `out`, as PNG, which keeps every pixel exact.

    Where two sources differ in their suffix only, their results keep it: `a.jpg.png`. `kinds` are the
    results of one source that will be written `beside` each other: none of them may be in the way.
    """
    found = dict(pair for given in inputs for pair in _expand(given))
    if not found:
        raise UserError("no pictures to translate")
    stems = Counter(relative.with_suffix("") for relative in set(found.values()))
    planned = []
    for source, relative in found.items():
        clash = stems[relative.with_suffix("")] > 1
        target = out / (relative.with_name(relative.name + ".png") if clash else relative.with_suffix(".png"))
        planned.append((source, target))
    _check(found.keys(), [beside(target, kind) for _, target in planned for kind in kinds])
    return planned


def beside(target: Path, kind: str) -> Path:
    """Where a result of some kind goes: `beside(a.png, ".mask")` is `a.mask.png`."""
    return target.with_suffix(f"{kind}.png")


def _check(sources: Iterable[Path], written: Sequence[Path]) -> None:
    """Nothing is written twice, nor over what is still to be read."""
    kept = {source.resolve() for source in sources}
    for path in written:
        if path.resolve() in kept:
            raise UserError(f"{path} is a picture to translate and would be overwritten: choose another --out")
    path, times = Counter(written).most_common(1)[0]
    if times > 1:
        raise UserError(f"two pictures would become {path}: name their common folder, or choose an --out for each")


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
