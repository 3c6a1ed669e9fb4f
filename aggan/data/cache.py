"""Pictures decoded once, into one memory-mapped uint8 array a domain, at the training size.

A cache file is named after what is in it (paths, sizes, dates, the size in pixels), so a changed
picture makes a new one; it is written under a temporary name and renamed when it is whole.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from aggan.data.folders import Domain
from aggan.data.images import Unreadable, read, square
from aggan.errors import UserError

VERSION = 1


def folder() -> Path:
    """Where caches live: `$AGGAN_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("AGGAN_CACHE") or user_cache_path("aggan"))


def decoded(domain: Domain, size: int, strict: bool, skipped: Callable[[str], None]) -> np.ndarray:
    """An (n, size, size, 3) uint8 memory map of the domain's readable files, in their order.

    `skipped` is told of each file that could not be read; with `strict` the first one is a
    `UserError`, and so are fewer than two readable pictures.
    """
    target = folder() / f"{_key(domain.files, size)}.u8"
    note = target.with_suffix(".json")
    if not (target.exists() and note.exists()):
        _build(domain.files, size, target, note)
    known = json.loads(note.read_text())
    if strict and known["failures"]:
        raise UserError(known["failures"][0])
    for failure in known["failures"]:
        skipped(failure)
    if known["count"] < 2:
        found = f"only {known['count']} of {len(domain.files)} files could be read"
        raise UserError(f"domain {domain.name}: {found}, but training needs two; put whole pictures there")
    return np.memmap(target, np.uint8, "r", shape=(known["count"], size, size, 3))


def _key(files: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def _build(files: Sequence[Path], size: int, target: Path, note: Path) -> None:
    failures = []
    partial = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Plain writes rather than a writable memory map: on a full disk they raise, a map kills the process.
        with partial.open("wb") as out:
            for file in files:
                try:
                    out.write(square(read(file), size).tobytes())
                except Unreadable as why:
                    failures.append(str(why))
        # The pictures first: whoever finds the note finds them whole.
        os.replace(partial, target)
        partial.write_text(json.dumps({"count": len(files) - len(failures), "failures": failures}))
        os.replace(partial, note)
    except OSError as why:
        raise UserError(f"cannot write the picture cache in {target.parent}: {why.strerror}; set AGGAN_CACHE") from why
    finally:
        with suppress(OSError):
            partial.unlink()
