"""A folder's translation, shared among processes that never speak to each other, on any number of machines.

A result is renamed into place when it is whole, so the results that are there tell what is finished.
"""

from collections.abc import Sequence

from aggan.inference.files import Results


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
