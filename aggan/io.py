"""Files: atomic writes, locks, names, and checks of destinations before long work."""

import errno
import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError

from aggan.errors import UserError

PARTIAL = ".tmp"
"""Suffix of the hidden temporary files that `write_atomic` renames."""
_NEARLY_FULL = 2**20
"""Free bytes of a full disk, at most."""
_MAX_NAME, _MAX_PATH = 255, 4096
"""Bytes, where the file system does not tell."""
_NAME_ERRORS = (errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR)


class UnwritableName(UserError):
    """A file system cannot hold a file of this name in this place. Others may be written."""


def unwritable_reason(path: Path) -> str | None:
    """Why no file can have this path, or None: a folder or a file is in its way, or its name is too long."""
    path = path.absolute()
    existing = next(parent for parent in path.parents if os.path.lexists(parent))
    if not existing.is_dir():
        return f"{existing} is not a folder"
    max_name, max_path = _MAX_NAME, _MAX_PATH
    if hasattr(os, "pathconf"):
        max_name, max_path = (os.pathconf(existing, name) for name in ("PC_NAME_MAX", "PC_PATH_MAX"))
    longest = max(len(os.fsencode(name)) for name in path.relative_to(existing).parts)
    if 0 < max_name < longest:
        return f"a name of {longest} bytes is too long for this file system, which allows {max_name}"
    if 0 < max_path <= len(os.fsencode(path)):
        return f"a path of {len(os.fsencode(path))} bytes is too long for this system, which allows {max_path - 1}"
    return "there is a folder of this name" if path.is_dir() else None


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name, then rename it: readers see the old file or the complete new one.

    Missing parent folders are created. Raises `UserError` if writing fails, and `UnwritableName` if only the name is at
    fault; an existing file is unchanged then.
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
        is_name = isinstance(error, OSError) and error.errno in _NAME_ERRORS
        kind = UnwritableName if is_name else UserError
        reason = write_failure(error, path.parent)
        raise kind(f"cannot write {path}: {reason}; what was there before is unchanged") from error
    finally:
        with suppress(OSError):  # it is renamed by now, unless writing failed
            partial.unlink()


def write_together(paths: Sequence[Path], write: Callable[[Sequence[Path]], object]) -> None:
    """`write_atomic` for several files: `write` gets all temporary names. The last file is renamed first."""

    def write_rest(partials: tuple[Path, ...]) -> None:
        if len(partials) == len(paths):
            write(partials)
        else:
            write_atomic(paths[len(partials)], lambda partial: write_rest((*partials, partial)))

    write_rest(())


def write_failure(error: Exception, folder: Path) -> str:
    """Why writing below a folder failed. Libraries with exceptions of their own do not say that the disk is full."""
    is_full = not isinstance(error, OSError) and shutil.disk_usage(_nearest(folder)).free < _NEARLY_FULL
    return os.strerror(errno.ENOSPC) if is_full else str(error)


def write_text_atomic(path: Path, text: str) -> None:
    """`write_atomic` for text, in UTF-8."""
    write_atomic(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json_atomic(path: Path, value: object) -> None:
    """`write_atomic` for a JSON value, indented by 2."""
    write_text_atomic(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path, newest: int | None = None) -> dict[str, Any]:
    """The object in a JSON file. Raises `UserError` if there is none, or if its `version` is above `newest`."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path}: damaged: it is not a JSON object")
    version = content.get("version")
    if newest is not None and isinstance(version, int) and version > newest:
        raise UserError(f"{path}: written by a newer aggan (version {version}): update aggan")
    return content


def is_file_name(name: str) -> bool:
    """Whether a name is that of one file or folder, without separators and other than `.` and `..`."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0")


def normalized(name: str) -> str:
    """A name in Unicode's composed form (NFC), in which names are compared: disks and archives keep either form."""
    return unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """A name that every text can hold: bytes that are not UTF-8 are written as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def require_output_file(path: Path, option: str) -> None:
    """Raise `UserError` unless a file can be written to `path`. Missing parent folders are no error.

    Long work checks its destinations before it begins. `option` names the path in the message.
    """
    if reason := unwritable_reason(path):
        raise UserError(f"{option}: {path} cannot be written: {reason}")
    if os.path.lexists(path) and not path.is_file():
        raise UserError(f"{option}: {path} is not a file")
    _require_writable(path.parent, option)


def require_output_folder(path: Path, option: str) -> None:
    """The same for a folder, which need not exist yet."""
    if reason := unwritable_reason(path / PARTIAL):
        raise UserError(f"{option}: nothing can be written to {path}: {reason}")
    _require_writable(path, option)


def require_not_below(path: Path, folders: Iterable[Path], option: str) -> None:
    """Raise `UserError` if an output would lie in an input folder, where it would count as input the next time."""
    target = path.resolve()
    for folder in folders:
        if folder.resolve() in (target, *target.parents):
            raise UserError(f"{option} {path}: lies in {folder}, whose images are read: choose another place")


def require_space(path: Path, size: int | float, purpose: str) -> None:
    """Raise `UserError` if `size` bytes do not fit on the disk of `path`, which need not exist yet."""
    free = shutil.disk_usage(_nearest(path)).free
    if free < size:
        raise UserError(
            f"{path}: {purpose} needs about {size_text(size)}, but only {size_text(free)} are free: make room, or "
            "choose a place on another disk"
        )


def size_text(size: int | float) -> str:
    """A number of bytes as people read it."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder that exists."""
    try:
        _write_nothing(folder)
    except OSError:
        return False
    return True


def _write_nothing(folder: Path) -> None:
    with TemporaryFile(dir=folder):  # permissions alone do not tell: the disk may be read-only
        pass


def _require_writable(folder: Path, option: str) -> None:
    folder = _nearest(folder)
    try:
        _write_nothing(folder)
    except OSError as error:
        raise UserError(f"{option}: nothing can be written to {folder} ({error.strerror})") from error


def _nearest(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    return next(parent for parent in (path, *path.parents) if os.path.lexists(parent))


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
