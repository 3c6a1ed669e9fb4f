"""Nothing of the user's is lost: files are whole, or they are as they were."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from aggan.errors import UserError


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write under a temporary name, then rename: a reader finds the old file or the new one, whole."""
    partial = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    # torch and safetensors report a full disk with exceptions of their own.
    except (OSError, RuntimeError, SafetensorError) as why:
        raise UserError(f"cannot write {path}: {why}; what was there before is untouched") from why
    finally:
        with suppress(OSError):  # renamed by now, unless something went wrong
            partial.unlink()


@contextmanager
def goes_on() -> Iterator[None]:
    """For what goes on where it stopped: an error in writing says so too."""
    try:
        yield
    except UserError as why:
        raise UserError(f"{why}; once that is mended, the same command goes on from here") from why
