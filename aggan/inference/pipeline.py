"""A folder's translation, shared among processes that never speak to each other, on any number of machines.

A result is renamed into place when it is whole, so the results that are there tell what is finished.
"""

import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from aggan.cli.translate import Translate
from aggan.images.convert import Unreadable, to_pixels, to_tensor
from aggan.images.file import Photograph, read_photograph
from aggan.inference.alignment import place_like, place_of
from aggan.inference.compositing import ALL, Backend, NothingSeen, Said, View, paint
from aggan.inference.faces import Faces
from aggan.inference.landmarks import FaceFinder
from aggan.inference.paths import Results
from aggan.inference.runtimes import Asked, runtime_for
from aggan.inference.smoothing import steady
from aggan.inference.translator import Torch, folder_of
from aggan.inference.video import VideoWork
from aggan.inference.views import Tiles, whole
from aggan.io import write_whole
from aggan.methods.pretrained import ModelCard


def share(planned: Sequence[Results], rank: int, world: int) -> Sequence[Results]:
    """What process `rank` of `world` has to do.

    Every `world`-th picture of the whole plan is its own: processes that start at different times see different
    results, and would lose pictures or do them twice if they divided what is left. The plan must be the same in all
    processes.
    """
    return planned[rank::world]


def unfinished(planned: Sequence[Results], kinds: Sequence[str], parts: Sequence[str]) -> list[Results]:
    """Those of which a result is not there yet; `kinds` and `parts` as `Results.written` takes them."""
    return [results for results in planned if not all(path.exists() for path in results.written(kinds, parts))]


# --- '"""Many pictures, some at a time: while one is decoded another is computed and a third is encoded."""'
Item = TypeVar("Item")
WAITING = 2
"""Items begun ahead for each worker, so that memory does not grow with their number."""


def in_parallel(
    items: Iterable[Item], do: Callable[[Item], None], workers: int
) -> Generator[tuple[Item, Future[None]]]:
    """Each item with what became of it, in order. `do` runs in threads: pictures and tensors let go of Python's lock.

    Each worker computes with one thread. Where the iteration is left early, what was begun is finished.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if workers > 1 else before)
    begun: deque[tuple[Item, Future[None]]] = deque()
    try:
        with ThreadPoolExecutor(workers) as pool:
            try:
                for item in items:
                    begun.append((item, pool.submit(do, item)))
                    if len(begun) > WAITING * workers:
                        yield _finished(begun)
                while begun:
                    yield _finished(begun)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(before)


def _finished(begun: deque[tuple[Item, Future[None]]]) -> tuple[Item, Future[None]]:
    item, future = begun.popleft()
    future.exception()
    return item, future


# --- '"""What is done to each picture that a user names."""'
PARTS = (".mask", ".content")


@dataclass(frozen=True)
class Work:
    """Read, look, paint, write."""

    backends: Mapping[str, Backend]
    """What translates, by the kind of result: it stands in the result's name."""
    view: View
    strength: float = 1.0
    parts: bool = False
    """Write mask and content, too."""

    def translate(self, results: Results) -> None:
        """Write all results of one picture; raises `aggan.images.convert.Unreadable`.

        Where there is nothing to translate the picture is copied, and `NothingSeen` raised.
        """
        photograph = read_photograph(results.source)
        seen = to_tensor(photograph.seen)[None]
        for kind, backend in self.backends.items():
            try:
                said = self.view(seen, backend)
            except NothingSeen:
                for each in self.backends:
                    _copy(photograph, results.source, results.picture(each))
                raise
            photograph.painted(paint(photograph.pixels, said, self.strength)).save(results.picture(kind))
            if self.parts:
                _save_parts(said, results, kind)


def _copy(photograph: Photograph, source: Path, target: Path) -> None:
    if source.suffix == target.suffix:
        write_whole(target, partial(shutil.copyfile, source))
    else:
        photograph.save(target)


def _save_parts(said: Said, results: Results, kind: str) -> None:
    layers = said.rows(ALL)
    mask = Pillow.fromarray((layers.mask[0, 0].numpy() * 255).round().astype("uint8"))
    for part, image in zip(PARTS, (mask, Pillow.fromarray(to_pixels(layers.content[0]))), strict=True):
        write_whole(results.part(kind + part), lambda partial, image=image: image.save(partial, "PNG"))


# --- '"""How `aggan translate` goes about it: how a model looks at pictures, and what becomes of each."""'
TRANSLATED, COPIED, SKIPPED = "translated", "copied unchanged", "skipped"
A_VIDEO = 250
"""So many pictures a video is taken to have: ten seconds."""


def work_through(
    planned: Sequence[Results], asked: Translate, card: ModelCard, torches: Mapping[str, Torch]
) -> Counter[str]:
    """What became of how many; raises `UserError`."""
    console = Console(stderr=True)
    view = _view(asked, card)
    # What finds faces is not made for several threads, and videos are steadied frame after frame.
    alone = asked.faces or asked.video
    jobs = 1 if alone else asked.jobs or max(1, min(len(planned), os.cpu_count() or 1))
    pictures = len(planned) * (A_VIDEO if asked.video else 1)
    wanted = Asked(folder_of(asked.model), asked.backend, pictures, threads=1 if jobs > 1 else 0)
    backends = {kind: runtime_for(backend, wanted, console.print) for kind, backend in torches.items()}

    def frames(some: Iterable[None], count: int) -> Iterable[None]:
        return track(some, "translating", total=count or None, console=console)

    if asked.video:
        translate = VideoWork(backends[""], partial(steady, view), asked.strength, frames).translate
        return _each(planned, translate, console, jobs=1, shown=False)
    translate = Work(backends, view, asked.strength, asked.masks).translate
    return _each(planned, translate, console, jobs)


def _view(asked: Translate, card: ModelCard) -> View:
    if not asked.faces:
        return Tiles() if asked.tiles else whole
    finder = FaceFinder()
    return Faces(finder, place_like(asked.like, finder) if asked.like else place_of(asked.model, card, finder))


def _each(
    planned: Sequence[Results], translate: Callable[[Results], None], console: Console, jobs: int, shown: bool = True
) -> Counter[str]:
    counted = Counter[str]()
    outcomes = in_parallel(planned, translate, jobs)
    for results, outcome in track(outcomes, "translating", len(planned), console=console, disable=not shown):
        try:
            outcome.result()
            counted[TRANSLATED] += 1
        except NothingSeen as why:
            console.print(f"copied {results.source}: {why}", markup=False, highlight=False, soft_wrap=True)
            counted[COPIED] += 1
        except Unreadable as why:
            console.print(f"skipped {why}", markup=False, highlight=False, soft_wrap=True)
            counted[SKIPPED] += 1
    return counted
