"""The queue: one translation at a time, a limited number waits, and each has a limited time."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.types import Receive

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before its reply was ready."""


class WorkQueue:
    """Runs work in one thread, in the order of its arrival."""

    def __init__(self, waiting: int, seconds: float) -> None:
        """`waiting` requests may wait while one is translated; each has `seconds` from when it has arrived."""
        self.size, self.seconds = waiting + 1, seconds
        self.taken = 0
        self._last_seconds = 1.0
        self._worker = ThreadPoolExecutor(1, "translate")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places of the queue. Raises `HTTPException` 429 if there is none."""
        if self.taken >= self.size:
            raise HTTPException(429, "the queue is full: try again soon", self._retry_after())
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def run(self, work: Callable[[Event], T], receive: Receive) -> T:
        """Run `work` and return its result, or raise its error.

        Its argument is set when nobody waits for it any more. Raises `HTTPException` 503 if it takes too long, and
        `ClientGone` when `receive`, which has delivered the whole body, tells that the client is gone.
        """
        abandoned = Event()
        result = asyncio.get_running_loop().run_in_executor(self._worker, self._timed, work, abandoned)
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((result, gone), timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            if gone.done():
                raise ClientGone
            detail = f"not translated within {self.seconds:g} seconds: try again later, or send a smaller image"
            raise HTTPException(503, detail, self._retry_after())
        finally:
            abandoned.set()
            gone.cancel()
            result.cancel()  # it never starts if it still waits

    def _timed(self, work: Callable[[Event], T], abandoned: Event) -> T:
        start = time.monotonic()
        try:
            return work(abandoned)
        finally:
            self._last_seconds = time.monotonic() - start

    def _retry_after(self) -> dict[str, str]:
        """About the time after which a place is free."""
        return {"retry-after": str(math.ceil(max(1.0, self._last_seconds)))}
