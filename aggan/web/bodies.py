"""The bodies of requests, read with limits on their size and time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope


def check_content_length(scope: Scope, limit: int) -> None:
    """Raise `HTTPException` 413 if a request announces a body of more than `limit` bytes."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and (len(length) > len(str(limit)) or int(length) > limit):
        raise HTTPException(413, f"too large: the limit is {limit} bytes")


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes | None:
    """The body of a request; None if the client disconnected. Raises `HTTPException` if it is too slow or large."""
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > limit:
                    raise HTTPException(413, f"too large: the limit is {limit} bytes")
                more = message.get("more_body", False)
    except TimeoutError:
        raise HTTPException(408, f"too slow: a request must arrive within {seconds:g} seconds") from None
    return bytes(body)
