"""Many pictures, some at a time: while one is decoded another is computed and a third is encoded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

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
