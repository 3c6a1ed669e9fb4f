"""Cache of decoded images: one memory-mapped uint8 array per domain, at the training size.

The name of a cache file is a digest of its contents (paths, file sizes, dates, image size), so a changed image gets a
new file. Files are written under a temporary name and renamed when they are complete.

KEY.u8          the pixels (n, size, size, 3) of the readable images
KEY.json        what is in KEY.u8; written after the pixels
KEY.START.part  images from number START on: what an interrupted decoding leaves, and the next one continues
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict
from uuid import uuid4

import numpy as np
from jaxtyping import Float32, UInt8
from platformdirs import user_cache_path

from aggan.data.folders import Domain
from aggan.errors import UserError
from aggan.images.decode import Half, Unreadable, bits_of, decode, square

VERSION = 2
PARTIAL, PART = ".tmp", ".part"
"""Suffixes of files that exist while images are decoded."""
PART_SECONDS, PART_BYTES = 5.0, 2**26
"""Decoded images are saved after this long or when they are this large, so that a restart loses little."""
STALE_SECONDS = {PARTIAL: 3600, PART: 7 * 24 * 3600}
"""Age at which these files are removed. Every few seconds, a process that decodes writes to its temporary file."""
FULL_RANGE = 2**14
"""16-bit images of a domain that use no larger value probably have fewer bits."""

_NAME = re.compile(r"([0-9a-f]{32})(\.json|\.u8|\..+\.part|\..+\.tmp|)")
"""Names of this package's files and folders: `$AGGAN_CACHE` may hold other ones."""

OnProgress = Callable[[int, int], object]
"""Called with the number of decoded images and that of all images."""


class _Contents(TypedDict):
    """The content of KEY.json."""

    broken: list[int]
    """Indices of the unreadable files."""
    failures: list[str]
    """Why each of them cannot be read."""
    peak: int | None
    """The largest value of the 16-bit images whose bits are not known."""
    folder: str
    size: int


def folder() -> Path:
    """Folder of the cache: `$AGGAN_CACHE`, or `aggan` in the user's cache folder.

    Without a home folder it is a folder of this user's in the temporary directory. Raises `UserError` if that belongs
    to another user.
    """
    if chosen := os.environ.get("AGGAN_CACHE"):
        return Path(chosen)
    with suppress(RuntimeError, KeyError):  # there is neither HOME nor a user of this number
        cache = user_cache_path("aggan")
        if cache.is_absolute():
            return cache
    return _temporary_folder()


def _temporary_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    path = Path(tempfile.gettempdir()) / f"aggan-{user}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        owner = path.stat().st_uid if hasattr(os, "getuid") else user
    except OSError as error:
        raise UserError(f"no home folder, and {path} cannot be used ({error.strerror}): set AGGAN_CACHE") from error
    if path.is_symlink() or owner != user:
        raise UserError(f"no home folder, and {path} belongs to another user: set AGGAN_CACHE to a folder of yours")
    return path


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
    half: Half | None = None
    """The half of each file that the pixels are from, if files are side-by-side images."""

    def __len__(self) -> int:
        return len(self.files)


def decode_domain(
    domain: Domain,
    size: int,
    strict: bool,
    report_skipped: Callable[[str], None],
    min_images: int = 2,
    on_progress: OnProgress | None = None,
) -> DecodedDomain:
    """Decode the images of a domain, or map their cached pixels into memory.

    Each unreadable file is skipped and reported to `report_skipped`. Raises `UserError` at the first one if `strict`,
    if fewer than `min_images` (1 or more) are readable, and if the range of 16-bit images is unclear.
    """
    pixels_file = folder() / f"{_key(domain, size)}.u8"
    contents = _fill_cache(domain, size, pixels_file, on_progress or (lambda done, total: None))
    if strict and contents["failures"]:
        raise UserError(contents["failures"][0])
    for failure in contents["failures"]:
        report_skipped(failure)
    broken = set(contents["broken"])
    files = tuple(file for index, file in enumerate(domain.files) if index not in broken)
    if len(files) < min_images:
        counts = f"{len(files)} of {len(domain.files)} files could be read, and at least {min_images} must be"
        raise UserError(f"domain {domain.name}: only {counts}: replace the broken ones")
    _require_full_range(domain, contents["peak"])
    pixels = np.memmap(pixels_file, np.uint8, "r", shape=(len(files), size, size, 3))
    return DecodedDomain(domain.name, files, pixels, folder=domain.folder, half=domain.half)


def _require_full_range(domain: Domain, peak: int | None) -> None:
    if peak is not None and peak < FULL_RANGE:
        raise UserError(
            f"domain {domain.name}: none of its 16-bit images has a value above {peak}, so their range is unclear: "
            f"pass --data.bits {bits_of(peak)}, or --data.bits 16 if they are only dark"
        )


def _key(domain: Domain, size: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {size}".encode())
    if domain.half or domain.bits:
        digest.update(f" {domain.half} {domain.bits}".encode())
    for file in domain.files:
        status = file.stat()
        digest.update(os.fsencode(f"\0{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"))
    return digest.hexdigest()[:32]


def _fill_cache(domain: Domain, size: int, pixels_file: Path, on_progress: OnProgress) -> _Contents:
    """Write the pixels unless they are cached. Returns what is there."""
    try:
        contents = _read_cache(domain, size, pixels_file)
        # A file may be readable by now: the reason may have been a permission, or a network disk.
        if contents is None or any(_is_readable(domain, index) for index in contents["broken"]):
            contents = _write_cache(domain, size, pixels_file, on_progress)
        return contents
    except OSError as error:
        where = pixels_file.parent
        raise UserError(
            f"cannot use the image cache in {where}: {error.strerror}; set AGGAN_CACHE to another folder"
        ) from error


def _read_cache(domain: Domain, size: int, pixels_file: Path) -> _Contents | None:
    """What is cached of a domain; None if nothing is, or the cache is damaged."""
    try:
        contents: _Contents = json.loads(pixels_file.with_suffix(".json").read_bytes())
        images = len(domain.files) - len(contents["broken"])
        is_complete = pixels_file.stat().st_size == images * size * size * 3
        return contents if is_complete and "peak" in contents else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _is_readable(domain: Domain, index: int) -> bool:
    try:
        decode(domain.files[index], domain.bits, domain.half)
    except Unreadable:
        return False
    return True


class _Part(NamedTuple):
    """Some of a domain's images, decoded."""

    pixels: UInt8[np.ndarray, "n size size 3"]
    broken: list[int]
    """Indices in the domain."""
    failures: list[str]
    peaks: list[int]
    end: int
    """Index of the next image."""


def _write_cache(domain: Domain, size: int, pixels_file: Path, on_progress: OnProgress) -> _Contents:
    pixels_file.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(pixels_file.parent)
    contents: _Contents = {"broken": [], "failures": [], "peak": None, "folder": str(domain.folder), "size": size}
    partial = pixels_file.with_suffix(f".{uuid4().hex[:12]}{PARTIAL}")
    try:
        # Plain writes raise on a full disk; a writable memory map would kill the process.
        with partial.open("wb") as stream:
            for part in _parts(domain, size, pixels_file, on_progress):
                stream.write(part.pixels.tobytes())
                contents["broken"] += part.broken
                contents["failures"] += part.failures
                contents["peak"] = max((contents["peak"] or 0, *part.peaks)) or None
        # The pixels first: a process that finds the JSON file finds them complete.
        os.replace(partial, pixels_file)
        partial.write_text(json.dumps(contents))
        os.replace(partial, pixels_file.with_suffix(".json"))
    finally:
        with suppress(OSError):
            partial.unlink()
    for part in pixels_file.parent.glob(f"{pixels_file.stem}.*{PART}"):
        part.unlink(missing_ok=True)
    return contents


def _parts(domain: Domain, size: int, pixels_file: Path, on_progress: OnProgress) -> Iterator[_Part]:
    """Decode the images in parts, and save each part but the last; those of an interrupted call are read again."""
    start = 0
    while start < len(domain.files):
        file = pixels_file.with_suffix(f".{start}{PART}")
        part = _load_part(file, size)
        if part is None or part.end > len(domain.files):
            part = _decode_part(domain, size, start, on_progress)
            if part.end < len(domain.files):
                _save_part(file, part)
        yield part
        start = part.end
        on_progress(start, len(domain.files))


def _decode_part(domain: Domain, size: int, start: int, on_progress: OnProgress) -> _Part:
    images, broken, failures, peaks = [], [], [], []
    index, deadline = start, time.monotonic() + PART_SECONDS
    while index < len(domain.files):
        try:
            image, peak = decode(domain.files[index], domain.bits, domain.half)
            images.append(square(image, size))
            peaks += [peak] if peak else []
        except Unreadable as error:
            broken.append(index)
            failures.append(str(error))
        index += 1
        on_progress(index, len(domain.files))
        if time.monotonic() > deadline or len(images) * size * size * 3 > PART_BYTES:
            break
    pixels = np.stack(images) if images else np.empty((0, size, size, 3), np.uint8)
    return _Part(pixels, broken, failures, peaks, index)


def _save_part(file: Path, part: _Part) -> None:
    about = json.dumps(part[1:]).encode()
    partial = file.with_suffix(f".{uuid4().hex[:12]}{PARTIAL}")
    try:
        with partial.open("wb") as stream:
            np.savez(stream, pixels=part.pixels, about=np.frombuffer(about, np.uint8))
        os.replace(partial, file)
    finally:
        with suppress(OSError):
            partial.unlink()


def _load_part(file: Path, size: int) -> _Part | None:
    """A part that an interrupted call has saved; None if there is none, or it is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            pixels, about = arrays["pixels"], json.loads(arrays["about"].tobytes())
        return _Part(pixels, *about) if pixels.shape[1:] == (size, size, 3) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


# --- what is in the cache ---------------------------------------------------------------------------


class Entry(NamedTuple):
    """Files of the cache that belong together."""

    title: str
    files: tuple[Path, ...]
    """Files, or one folder."""
    size: int
    """In bytes."""
    used: float
    """When it was last read or written, in seconds since the epoch, as far as the disk records it."""

    def remove(self) -> None:
        """Remove the files. A training that uses them keeps them until it ends. Raises `UserError` if that fails."""
        for path in self.files:
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"cannot remove {path}: {error.strerror}") from error


def entries() -> list[Entry]:
    """Everything that this package keeps in the cache folder, the least recently used entry first."""
    groups: dict[str, list[Path]] = {}
    for path in (*folder().glob("*"), *(folder() / "exported").glob("*")):
        if match := _NAME.fullmatch(path.name):
            groups.setdefault(match[1], []).append(path)
    return sorted(filter(None, map(_entry, groups.values())), key=lambda entry: entry.used)


def _entry(paths: list[Path]) -> Entry | None:
    """An entry, or None if another process has just removed it."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    try:
        statuses = [file.stat() for file in files]
        changed = max(path.stat().st_ctime for path in paths)
    except FileNotFoundError:
        return None
    # The folder of an exported model may be empty, and files may have lost their dates.
    used = max((max(status.st_atime, status.st_mtime) for status in statuses), default=0.0) or changed
    return Entry(_title(paths), tuple(paths), sum(status.st_size for status in statuses), used)


def _title(paths: list[Path]) -> str:
    if paths[0].is_dir():
        return "exported model"
    try:
        about = next(path for path in paths if path.suffix == ".json")
        contents: _Contents = json.loads(about.read_bytes())
        return f"images of {contents['folder']} at {contents['size']} px"
    except (StopIteration, OSError, ValueError, KeyError, TypeError):
        return "images, unfinished or of an earlier version"


def remove_stale(cache: Path) -> None:
    """Remove what processes that have ended left in a cache folder while they decoded images."""
    for path in cache.iterdir():
        if path.suffix in STALE_SECONDS and _NAME.fullmatch(path.name):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS[path.suffix]:
                    path.unlink()
