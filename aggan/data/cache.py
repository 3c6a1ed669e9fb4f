"""Cache of decoded images: one memory-mapped uint8 array per domain, at the training size.

The name of a cache file is a digest of its contents (paths, file sizes, dates, image size), so a changed image gets a
new file. Files are written under a temporary name and renamed when they are complete.

KEY.u8      the pixels (n, size, size, 3) of the readable images
KEY.json    indices of the unreadable files, and why each cannot be read; written after the pixels
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from uuid import uuid4

import numpy as np
from jaxtyping import Float32, UInt8
from platformdirs import user_cache_path

from aggan.data.folders import Domain
from aggan.errors import UserError
from aggan.images.decode import Unreadable, read, square

VERSION = 2


class _Unreadable(TypedDict):
    """The content of KEY.json."""

    broken: list[int]
    failures: list[str]


def folder() -> Path:
    """Folder of the cache: `$AGGAN_CACHE`, or `aggan` in the user's cache folder."""
    return Path(os.environ.get("AGGAN_CACHE") or user_cache_path("aggan"))


@dataclass(frozen=True)
class DecodedDomain:
    """The readable images of a domain."""

    name: str
    files: tuple[Path, ...]
    pixels: UInt8[np.ndarray, "n size size 3"]
    """A memory map, in the order of the files."""
    codes: Float32[np.ndarray, "n m"] | None = None
    """What each image shows, if that is more than its domain: its action units in [0, 1]."""
    folder: Path = Path()
    """Folder of the files, or a parent of it."""

    def __len__(self) -> int:
        return len(self.files)


def decode_domain(
    domain: Domain, size: int, strict: bool, report_skipped: Callable[[str], None], min_images: int = 2
) -> DecodedDomain:
    """Decode the images of a domain, or map their cached pixels into memory.

    Each unreadable file is skipped and reported to `report_skipped`. Raises `UserError` at the first one if `strict`,
    and if fewer than `min_images` (1 or more) are readable.
    """
    pixels_file = folder() / f"{_key(domain.files, size)}.u8"
    unreadable = _fill_cache(domain.files, size, pixels_file)
    if strict and unreadable["failures"]:
        raise UserError(unreadable["failures"][0])
    for failure in unreadable["failures"]:
        report_skipped(failure)
    broken = set(unreadable["broken"])
    files = tuple(file for index, file in enumerate(domain.files) if index not in broken)
    if len(files) < min_images:
        counts = f"{len(files)} of {len(domain.files)} files could be read, and at least {min_images} must be"
        raise UserError(f"domain {domain.name}: only {counts}: replace the broken ones")
    pixels = np.memmap(pixels_file, np.uint8, "r", shape=(len(files), size, size, 3))
    return DecodedDomain(domain.name, files, pixels, folder=domain.folder)


def _key(files: Sequence[Path], size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    for file in files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]


def _fill_cache(files: Sequence[Path], size: int, pixels_file: Path) -> _Unreadable:
    """Write the pixels unless they are cached. Returns which files are unreadable."""
    try:
        unreadable = _read_cache(files, size, pixels_file)
        # A file may be readable by now: the reason may have been a permission, or a network disk.
        if unreadable is None or any(_is_readable(files[index]) for index in unreadable["broken"]):
            unreadable = _write_cache(files, size, pixels_file)
        return unreadable
    except OSError as error:
        where = pixels_file.parent
        raise UserError(
            f"cannot use the image cache in {where}: {error.strerror}; set AGGAN_CACHE to another folder"
        ) from error


def _read_cache(files: Sequence[Path], size: int, pixels_file: Path) -> _Unreadable | None:
    """The unreadable files of a cached domain; None if it is not cached, or the cache is damaged."""
    try:
        unreadable: _Unreadable = json.loads(pixels_file.with_suffix(".json").read_bytes())
        images = len(files) - len(unreadable["broken"])
        return unreadable if pixels_file.stat().st_size == images * size * size * 3 else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _is_readable(file: Path) -> bool:
    try:
        read(file)
    except Unreadable:
        return False
    return True


def _write_cache(files: Sequence[Path], size: int, pixels_file: Path) -> _Unreadable:
    unreadable: _Unreadable = {"broken": [], "failures": []}
    partial = pixels_file.with_suffix(f".{uuid4().hex[:12]}.tmp")
    try:
        pixels_file.parent.mkdir(parents=True, exist_ok=True)
        # Plain writes raise on a full disk; a writable memory map would kill the process.
        with partial.open("wb") as stream:
            for index, file in enumerate(files):
                try:
                    stream.write(square(read(file), size).tobytes())
                except Unreadable as error:
                    unreadable["failures"].append(str(error))
                    unreadable["broken"].append(index)
        # The pixels first: a process that finds the JSON file finds them complete.
        os.replace(partial, pixels_file)
        partial.write_text(json.dumps(unreadable))
        os.replace(partial, pixels_file.with_suffix(".json"))
        return unreadable
    finally:
        with suppress(OSError):
            partial.unlink()
