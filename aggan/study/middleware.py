"""ASGI middleware of the study: limits on requests, security headers, and a log of refused requests."""

import asyncio
import json
import logging
import secrets
from hashlib import blake2b

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggan.study.rate_limits import RateLimits, TokenBuckets, client_network
from aggan.web.bodies import check_content_length, read_body

MAX_BODY = 4096
"""Bytes; an answer has a few hundred."""
BODY_TIMEOUT = 10.0
"""Seconds within which the body of a request must arrive."""
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MTURK_FORM_TARGETS = ("https://workersandbox.mturk.com", "https://www.mturk.com")


def content_security_policy(mturk: bool) -> str:
    """A policy without foreign or inline content; with `mturk`, MTurk may frame the page and receive its form."""
    frames, forms = ("https://*.mturk.com", " ".join(MTURK_FORM_TARGETS)) if mturk else ("'none'", "'none'")
    return f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
base-uri 'none'; frame-ancestors {frames}; form-action {forms}"


class RequestGuard:
    """The outermost layer of the application.

    It refuses requests that are too large, too slow or too many, adds headers to every response, and logs every
    refusal with a salted hash in place of the client's address.
    """

    def __init__(self, app: ASGIApp, headers: dict[str, str], limits: RateLimits, log: logging.Logger) -> None:
        self.app, self.log = app, log
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.refusals = TokenBuckets(limits.refusals)
        self.salt = secrets.token_bytes(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_network(scope["client"][0] if scope["client"] else "")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count_refusal(scope, client, message["status"])
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        # Let the web server first answer requests that turn out to be invalid HTTP after their first line.
        await asyncio.sleep(0)
        try:
            if self.refusals.level(client) < 1:
                raise HTTPException(429, "too many requests")
            check_content_length(scope, MAX_BODY)
            body = await read_body(receive, MAX_BODY, BODY_TIMEOUT)
        except HTTPException as error:
            await _send_error(send_guarded, error)
        else:
            if body is not None:
                await self.app(scope, _replay(body, receive), send_guarded)

    def _count_refusal(self, scope: Scope, client: str, status: int) -> None:
        if status >= 400 and self.refusals.take(client):
            path = scope["path"].encode("unicode_escape").decode()[:200]
            # Refused clients have not agreed to the storage of their address.
            alias = blake2b(client.encode(), key=self.salt, digest_size=6).hexdigest()
            self.log.warning("%s %s %s %s", status, alias, scope["method"][:10], path)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first delivers a body that was already read."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


async def _send_error(send: Send, error: HTTPException) -> None:
    body = json.dumps({"detail": error.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # Close the connection, because the rest of the request is not read.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
