"""What every request passes: limits of size, time and number, security headers, and a log of what was refused."""

import asyncio
import json
import logging
import secrets
from hashlib import blake2b

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggan.study.limits import Buckets, Limits, origin

BODY = 4096
"""Bytes; an answer has some hundred."""
PATIENCE = 10
"""Seconds in which a request must have arrived."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
MTURK = ("https://workersandbox.mturk.com", "https://www.mturk.com")
"""Where MTurk's form goes."""


def content_policy(mturk: bool) -> str:
    """Nothing from elsewhere, nothing inline; only MTurk may frame the page, and get its form."""
    framed, forms = ("https://*.mturk.com", " ".join(MTURK)) if mturk else ("'none'", "'none'")
    return f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
base-uri 'none'; frame-ancestors {framed}; form-action {forms}"


class Refused(Exception):
    """A request that is not granted; the reason is for the page."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Guard:
    """The application's outermost layer."""

    def __init__(self, app: ASGIApp, headers: dict[str, str], limits: Limits, log: logging.Logger) -> None:
        self.app, self.log = app, log
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.refusals = Buckets(limits.refusals)
        self.salt = secrets.token_bytes(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        who = origin(scope["client"][0] if scope["client"] else "")

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, who, message["status"])
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        # What turns out to be no HTTP after its first line is answered by the web server, meanwhile.
        await asyncio.sleep(0)
        try:
            if self.refusals.level(who) < 1:
                raise Refused(429, "too many requests")
            _require_small(scope)
            body = await _in_time(receive)
        except Refused as why:
            await _refuse(answered, why)
        else:
            if body is not None:
                await self.app(scope, _replay(body, receive), answered)

    def _note(self, scope: Scope, who: str, status: int) -> None:
        if status >= 400 and self.refusals.take(who):
            path = scope["path"].encode("unicode_escape").decode()[:200]
            # Whoever was refused has not agreed that an address is kept.
            alias = blake2b(who.encode(), key=self.salt, digest_size=6).hexdigest()
            self.log.warning("%s %s %s %s", status, alias, scope["method"][:10], path)


def _require_small(scope: Scope) -> None:
    said = dict(scope["headers"]).get(b"content-length", b"0")
    if said.isdigit() and (len(said) > len(str(BODY)) or int(said) > BODY):
        raise Refused(413, "too large")


async def _in_time(receive: Receive) -> bytes | None:
    """The whole body, or None where the other side has gone; raises `Refused`."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _body(receive)
    except TimeoutError:
        raise Refused(408, "too slow") from None


async def _body(receive: Receive) -> bytes | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > BODY:
            raise Refused(413, "too large")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


async def _refuse(send: Send, why: Refused) -> None:
    body = json.dumps({"refused": why.why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # The rest of what is being sent is not read.
    await send({"type": "http.response.start", "status": why.status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
