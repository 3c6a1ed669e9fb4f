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
from typing import Any
from uuid import uuid4

import numpy as np
from platformdirs import user_cache_path

from aggan.data.folders import Domain
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, square

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
    folder: Path = Path()
    """What the files lie in, or below."""

    def __len__(self) -> int:
        return len(self.files)


def decoded(domain: Domain, size: int, strict: bool, skipped: Callable[[str], None], least: int = 2) -> Decoded:
    """The domain's readable files and their pixels, in their order.

    `skipped` is told of each file that could not be read; with `strict` the first one is a `UserError`. Fewer readable
    pictures than `least` (1 or more) are a `UserError`.
    """
    target = folder() / f"{_key(domain.files, size)}.u8"
    known = _note(domain.files, size, target)
    if strict and known["failures"]:
        raise UserError(known["failures"][0])
    for failure in known["failures"]:
        skipped(failure)
    broken = set(known["broken"])
    files = tuple(file for place, file in enumerate(domain.files) if place not in broken)
    if len(files) < least:
        found = f"only {len(files)} of {len(domain.files)} files could be read, and at least {least} must be"
        raise UserError(f"domain {domain.name}: {found}: put whole pictures there")
    pixels = np.memmap(target, np.uint8, "r", shape=(len(files), size, size, 3))
    return Decoded(domain.name, files, pixels, folder=domain.folder)


def _key(files: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]


def _note(files: Sequence[Path], size: int, target: Path) -> dict[str, Any]:
    """Which files are broken and why; the pixels of the others are in `target` then."""
    try:
        known = _whole(files, size, target)
        # What could not be read may have been a matter of permission, or of a network disk.
        if known is None or any(_readable(files[place]) for place in known["broken"]):
            known = _build(files, size, target)
        return known
    except OSError as why:
        raise UserError(f"cannot use the picture cache in {target.parent}: {why.strerror}; set AGGAN_CACHE") from why


def _whole(files: Sequence[Path], size: int, target: Path) -> dict[str, Any] | None:
    """The note of a cache that is there; None where it is not, or damaged."""
    try:
        known = json.loads(target.with_suffix(".json").read_bytes())
        pictures = len(files) - len(known["broken"])
        return known if target.stat().st_size == pictures * size * size * 3 else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _readable(file: Path) -> bool:
    try:
        read(file)
    except Unreadable:
        return False
    return True


def _build(files: Sequence[Path], size: int, target: Path) -> dict[str, Any]:
    failures, broken = [], []
    partial = target.with_suffix(f".{uuid4().hex[:12]}.tmp")
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
        known = {"broken": broken, "failures": failures}
        partial.write_text(json.dumps(known))
        os.replace(partial, target.with_suffix(".json"))
        return known
    finally:
        with suppress(OSError):
            partial.unlink()
