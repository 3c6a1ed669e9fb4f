"""How `aggan translate` goes about it: how a model looks at pictures, and what becomes of each."""

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
from aggan.inference.layers import Backend, NothingSeen, View
from aggan.inference.places import place_like, place_of
from aggan.inference.steady import steady
from aggan.inference.video import VideoWork
from aggan.inference.views import Tiles, whole
from aggan.inference.work import Work
from aggan.systems.files import ModelCard

TRANSLATED, COPIED, SKIPPED = "translated", "copied unchanged", "skipped"


def work_through(
    planned: Sequence[Results], asked: Translate, card: ModelCard, backends: Mapping[str, Backend]
) -> Counter[str]:
    """What became of how many; raises `UserError`."""
    console = Console(stderr=True)
    view = _view(asked, card)

    def frames(some: Iterable[None], count: int) -> Iterable[None]:
        return track(some, "translating", total=count or None, console=console)

    if asked.video:
        translate = VideoWork(backends[""], partial(steady, view), asked.strength, frames).translate
        return _each(planned, translate, console)
    translate = Work(backends, view, asked.strength, asked.masks).translate
    return _each(track(planned, "translating", console=console), translate, console)


def _view(asked: Translate, card: ModelCard) -> View:
    if not asked.faces:
        return Tiles() if asked.tiles else whole
    finder = FaceFinder()
    return Faces(finder, place_like(asked.like, finder) if asked.like else place_of(asked.model, card, finder))


def _each(planned: Iterable[Results], translate: Callable[[Results], None], console: Console) -> Counter[str]:
    counted = Counter[str]()
    for results in planned:
        try:
            translate(results)
            counted[TRANSLATED] += 1
        except NothingSeen as why:
            console.print(f"copied {results.source}: {why}", markup=False, highlight=False, soft_wrap=True)
            counted[COPIED] += 1
        except Unreadable as why:
            console.print(f"skipped {why}", markup=False, highlight=False, soft_wrap=True)
            counted[SKIPPED] += 1
    return counted
