"""A folder's translation, shared among processes that never speak to each other, on any number of machines.

A result is renamed into place when it is whole, so the results that are there tell what is finished.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from aggan.inference.files import beside

Planned = tuple[Path, Path]
"""A source and the name of its result."""


def share(planned: Sequence[Planned], kinds: Sequence[str] = ("",), rank: int = 0, world: int = 1) -> Iterator[Planned]:
    """What process `rank` of `world` has to do: its part of the plan, without what is finished when its turn comes.

    Every `world`-th picture of the whole plan is its own: processes that start at different times see
    different results, and would lose pictures or do them twice if they divided what is left. A picture is
    finished when the results of all `kinds` are there, which `files.plan` took. The plan must be the same in
    all processes; another number of them may go on with it.
    """
    for source, target in planned[rank::world]:
        if not all(beside(target, kind).exists() for kind in kinds):
            yield source, target
