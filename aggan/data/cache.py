"""Pictures decoded once, into one memory-mapped uint8 array a domain, at the training size.

A cache file is named after what is in it (paths, sizes, dates, the size in pixels), so a changed
picture makes a new one; it is written under a temporary name and renamed when it is whole.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from aggan.data.folders import Domain
from aggan.data.images import Unreadable, read, square
from aggan.errors import UserError

VERSION = 2


def folder() -> Path:
    """Where caches live: `$AGGAN_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("AGGAN_CACHE") or user_cache_path("aggan"))


@dataclass(frozen=True)
class Decoded:
    """A domain's readable pictures."""

    name: str
    files: tuple[Path, ...]
    pixels: np.ndarray
    """(n, size, size, 3) uint8, a memory map, in the order of the files."""
    codes: np.ndarray | None = None
    """(n, m) float32: what each picture shows, where that is more than its domain."""

    def __len__(self) -> int:
        return len(self.files)


def decoded(domain: Domain, size: int, strict: bool, skipped: Callable[[str], None]) -> Decoded:
    """The domain's readable files and their pixels, in their order.

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
    broken = set(known["broken"])
    files = tuple(file for place, file in enumerate(domain.files) if place not in broken)
    if len(files) < 2:
        found = f"only {len(files)} of {len(domain.files)} files could be read"
        raise UserError(f"domain {domain.name}: {found}, but training needs two; put whole pictures there")
    return Decoded(domain.name, files, np.memmap(target, np.uint8, "r", shape=(len(files), size, size, 3)))


def _key(files: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def _build(files: Sequence[Path], size: int, target: Path, note: Path) -> None:
    failures, broken = [], []
    partial = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Plain writes rather than a writable memory map: on a full disk they raise, a map kills the process.
        with partial.open("wb") as out:
            for place, file in enumerate(files):
                try:
                    out.write(square(read(file), size).tobytes())
                except Unreadable as why:
                    failures.append(str(why))
                    broken.append(place)
        # The pictures first: whoever finds the note finds them whole.
        os.replace(partial, target)
        partial.write_text(json.dumps({"broken": broken, "failures": failures}))
        os.replace(partial, note)
    except OSError as why:
        raise UserError(f"cannot write the picture cache in {target.parent}: {why.strerror}; set AGGAN_CACHE") from why
    finally:
        with suppress(OSError):
            partial.unlink()
