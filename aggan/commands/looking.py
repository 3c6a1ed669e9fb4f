"""How `aggan translate` goes about it: how a model looks at pictures, and what becomes of each."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.progress import track

from aggan.commands.translate import Translate
from aggan.data.images import Unreadable
from aggan.inference.faces import Faces
from aggan.inference.files import Results
from aggan.inference.landmarks import FaceFinder
from aggan.inference.layers import NothingSeen, View
from aggan.inference.parallel import in_parallel
from aggan.inference.places import place_like, place_of
from aggan.inference.runtimes import Asked, runtime_for
from aggan.inference.steady import steady
from aggan.inference.translator import Torch, folder_of
from aggan.inference.video import VideoWork
from aggan.inference.views import Tiles, whole
from aggan.inference.work import Work
from aggan.systems.files import ModelCard

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
