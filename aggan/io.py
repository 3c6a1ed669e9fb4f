"""Nothing of the user's is lost: files are whole, or they are as they were."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError

from aggan.errors import UserError

PARTIAL = ".tmp"
"""How the hidden names of files end that are being written."""


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write under a temporary name, then rename: a reader finds the old file or the new one, whole."""
    partial = path.with_name(f".{uuid4().hex[:12]}{PARTIAL}")  # two that write the same file do not meet
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    # torch and safetensors report a full disk with exceptions of their own.
    except (OSError, RuntimeError, SafetensorError) as why:
        raise UserError(f"cannot write {path}: {why}; what was there before is untouched") from why
    finally:
        with suppress(OSError):  # renamed by now, unless something went wrong
            partial.unlink()


def can_be_a_file(name: str) -> bool:
    """Whether a file or folder of this name lies where it is put, and nowhere else."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


@contextmanager
def goes_on() -> Iterator[None]:
    """For what goes on where it stopped: an error in writing says so too."""
    try:
        yield
    except UserError as why:
        raise UserError(f"{why}; once that is mended, the same command goes on from here") from why


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Inside, no other process is let in here; raises `UserError` where one is in already.

    What a writer that was killed left half-written is removed. Where folders cannot be locked (Windows, some network
    disks) everybody is let in, and nothing is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = _locked(folder)
    if handle is None:
        yield
        return
    try:
        for left in folder.rglob(f".*{PARTIAL}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _locked(folder: Path) -> int | None:
    """The open folder with a lock that ends with this process; None where there is no such thing."""
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as why:
        os.close(handle)
        raise UserError(f"{folder}: another process writes here; wait for its end, or stop it") from why
    except OSError:
        os.close(handle)
        return None
    return handle
