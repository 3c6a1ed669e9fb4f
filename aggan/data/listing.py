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
    return tuple(path for path in named_like(folder, suffixes) if path.is_file())


@looking()
def named_like(folder: Path, suffixes: Container[str]) -> list[Path]:
    """The same with all that is no folder, such as links that lead nowhere."""
    require_folder(folder)
    found = []
    for place, subfolders, names in os.walk(folder, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in suffixes)


def require_folder(place: Path) -> None:
    """Raise `UserError` where there is no folder."""
    if not place.is_dir():
        raise UserError(f"{place}: {'not a folder' if place.exists() else 'no such folder'}")


def _refuse(why: OSError) -> None:
    raise why
