"""Files below a folder. Errors of the file system become `UserError`s."""

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from aggan.errors import UserError


@contextmanager
def report_os_errors() -> Iterator[None]:
    """Turn an `OSError` raised inside into a `UserError` that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error


@report_os_errors()
def list_files(folder: Path, suffixes: Container[str]) -> tuple[Path, ...]:
    """The files in a folder and its subfolders with one of the (lower-case) suffixes, sorted, without hidden ones."""
    return tuple(path for path in list_entries(folder, suffixes) if path.is_file())


@report_os_errors()
def list_entries(folder: Path, suffixes: Container[str]) -> list[Path]:
    """Like `list_files`, with every entry that is not a folder, such as broken links."""
    require_folder(folder)
    paths = []
    for parent, subfolders, names in os.walk(folder, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(path for path in paths if path.suffix.lower() in suffixes)


def require_folder(path: Path) -> None:
    """Raise `UserError` unless the path is a folder."""
    if not path.is_dir():
        raise UserError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}")


def _raise(error: OSError) -> None:
    raise error
