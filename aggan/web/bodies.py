"""The bodies of requests, read with limits on their size and time."""

import asyncio
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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


class Drained:
    """Middleware that reads the rest of a request's body, and discards it, before the reply is sent.

    Otherwise a client that still sends would see a reset connection in place of a refusal.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """`seconds` limits the time of the reading."""
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        # A client that expects "100 Continue" sends no body before it is asked to.
        complete = b"expect" in dict(scope["headers"])

        async def receive_noted() -> Message:
            nonlocal complete
            message = await receive()
            complete = not message.get("more_body", False)
            return message

        async def send_after_body(message: Message) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.seconds):
                    while message["type"] == "http.response.start" and not complete:
                        await receive_noted()
            await send(message)

        await self.app(scope, receive_noted, send_after_body)
