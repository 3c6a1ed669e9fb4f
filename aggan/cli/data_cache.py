"""`aggan data cache`: list or clear the cache of decoded images and exported models."""

import time
from dataclasses import dataclass

import tyro

from aggan.data import cache
from aggan.errors import UserError
from aggan.io import size_text

DAY = 24 * 3600


@dataclass
class Cache:
    """List what is in the cache: decoded images, and models exported for a runtime. Everything is made again if it
    is needed."""

    clear: bool = False
    """Remove what is listed."""
    older_than: float = 0.0
    """Only what was not used for this number of days."""


def main(argv: list[str]) -> int:
    """Run the action and return its exit code."""
    args = tyro.cli(Cache, args=argv, prog="aggan data cache")
    if args.older_than < 0:
        raise UserError(f"--older-than must be a number of days, not {args.older_than:g}")
    now, folder = time.time(), cache.folder()
    entries = [entry for entry in cache.entries() if now - entry.used >= args.older_than * DAY]
    for entry in entries:
        print(f"{size_text(entry.size):>8}  {_age(now - entry.used):>8}  {entry.title}")
        if args.clear:
            entry.remove()
    total = size_text(sum(entry.size for entry in entries))
    print(f"{total} removed from {folder}" if args.clear else f"{total} in {folder}; --clear removes it")
    return 0


def _age(seconds: float) -> str:
    return "today" if seconds < DAY else f"{seconds / DAY:.0f} days"
