"""Atomic file writes, and locks on folders."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from aggan.errors import UserError

PARTIAL = ".tmp"
"""Suffix of the hidden temporary files that `write_atomic` renames."""


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the complete new one.

    Missing parent folders are created. Raises `UserError` if writing fails; an existing file is unchanged then.
    """
    partial = path.with_name(f".{uuid4().hex[:12]}{PARTIAL}")  # unique, as two processes may write the same file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    # torch and safetensors report a full disk with exceptions of their own.
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(f"cannot write {path}: {error}; what was there before is unchanged") from error
    finally:
        with suppress(OSError):  # it is renamed by now, unless writing failed
            partial.unlink()


def write_text_atomic(path: Path, text: str) -> None:
    """`write_atomic` for text, in UTF-8."""
    write_atomic(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json_atomic(path: Path, value: object) -> None:
    """`write_atomic` for a JSON value, indented by 2."""
    write_text_atomic(path, json.dumps(value, indent=2) + "\n")


def is_file_name(name: str) -> bool:
    """Whether a name is that of one file or folder, without separators and other than `.` and `..`."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


@contextmanager
def resumable() -> Iterator[None]:
    """Add to any `UserError` raised inside that the same command continues from here."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; fix this, then run the same command to continue from here") from error


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, and remove temporary files that a killed process left there.

    Raises `UserError` if another process holds the lock. Where folders cannot be locked (Windows, some network disks),
    locking is skipped and nothing is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = _lock(folder)
    if handle is None:
        yield
        return
    try:
        for partial in folder.rglob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _lock(folder: Path) -> int | None:
    """Descriptor of the folder with a lock that ends with this process; None where folders cannot be locked."""
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(f"{folder}: another process writes here; wait until it ends, or stop it") from error
    except OSError:
        os.close(handle)
        return None
    return handle
