"""What lies in a folder, as far as it may be looked at."""

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from aggan.errors import UserError


@contextmanager
def looking() -> Iterator[None]:
    """What the system has against looking somewhere is the user's to mend."""
    try:
        yield
    except OSError as why:
        raise UserError(f"{why.filename}: {why.strerror}") from why


@looking()
def files_of(folder: Path, suffixes: Container[str]) -> tuple[Path, ...]:
    """The files of a folder and its subfolders with such a suffix in lower case, sorted; nothing that is hidden."""
    require_folder(folder)
    found = []
    for place, subfolders, names in os.walk(folder, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return tuple(sorted(p for p in found if p.suffix.lower() in suffixes and p.is_file()))


def require_folder(place: Path) -> None:
    """Raise `UserError` where there is no folder."""
    if not place.is_dir():
        raise UserError(f"{place}: {'not a folder' if place.exists() else 'no such folder'}")


def _refuse(why: OSError) -> None:
    raise why
