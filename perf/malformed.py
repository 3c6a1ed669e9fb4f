"""Malformed HTTP requests to a study's server: forged, broken, huge, or for files that it must not serve."""

import json
import socket
from random import Random
from typing import Any

PATHS = (
    "/../plan.json", "/static/../plan.py", "/static/%2e%2e/%2e%2e/plan.py", "/static/..%5c..%5cplan.py",
    "/images/0/../../plan.json",
    "/images/%00/a.png", "/images/99999999999999999999/a.png", "//etc/passwd", "/etc/passwd%00.png", "http://elsewhere.invalid/",
    "/" + "a" * 9000, "/answers/../plan.json", "/.git/config", "/answers.sqlite", "/server.log",
    "/static/" + "../" * 200 + "etc/passwd",
    "/images/0/" + "f" * 32 + ".png", "/?" + "x=1&" * 500, "/%", "/%c0%ae%c0%ae/plan.json", "/\xff\xfe", "*",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**40, "", "left", "'; DROP TABLE answer; --", "\x00", "x" * 3000,
    [], {}, [[[[]]]], {"$gt": 0}, "１", "NaN",
)  # fmt: skip
FIELDS = ("trial", "chosen", "milliseconds", "real", "participant", "service", "person", "session", "__proto__", "")
JSON = "content-type: application/json"
HTTP_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "HEAD", "PATCH", "get", "G\x00T")


def malformed(random: Random, token: str) -> bytes:
    """A random malformed request. `token` is that of a participant, whom the request may impersonate."""
    return random.choice((_path, _answer, _answer, _joining, _body, _noise, _lengths, _headers))(random, token)


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: study",
        "connection: close",
        f"content-length: {len(body)}",
        JSON,
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body


def _path(random: Random, token: str) -> bytes:
    return _request(random.choice(HTTP_METHODS), random.choice(PATHS), b"", f"authorization: Bearer {token}")


def _answer(random: Random, token: str) -> bytes:
    """An answer with a wrong trial, a wrong side, a forged token or unknown fields."""
    answer: dict[str, Any] = {"trial": random.randint(40, 99), "chosen": "left", "milliseconds": 500}
    for _ in range(random.randint(0, 3)):
        answer[random.choice(FIELDS)] = random.choice(VALUES)
    answer["trial"] = answer["trial"] if answer["trial"] != 0 else -1
    forged = random.choice((token, token[::-1], token + "x", "", "x" * 5000, "é", f"{token}, Bearer {token}"))
    return _request("POST", "/answers", json.dumps(answer).encode(), f"authorization: Bearer {forged}")


def _joining(random: Random, token: str) -> bytes:
    fields = {
        random.choice(FIELDS): random.choice(VALUES[:3]),
        "person": random.choice(("a b", "<script>", "é" * 9, 7)),
    }
    return _request("POST", "/participants", json.dumps(fields).encode())


def _body(random: Random, token: str) -> bytes:
    content = random.choice(
        (b"{", b"[" * 4000, b"\xff\xfe\x00", b"x" * 100_000, b"null", b'{"trial":' + b"9" * 3000 + b"}", b"")
    )
    return _request("POST", random.choice(("/answers", "/participants")), content, f"authorization: Bearer {token}")


def _noise(random: Random, token: str) -> bytes:
    return random.randbytes(random.randint(1, 2000)) + b"\r\n\r\n"


def _lengths(random: Random, token: str) -> bytes:
    """A body that does not have the announced length."""
    length = random.choice(
        ("content-length: 99999999999", "content-length: -1", "content-length: 1e3", "transfer-encoding: chunked")
    )
    return f"POST /answers HTTP/1.1\r\nhost: study\r\n{length}\r\nconnection: close\r\n\r\nzz\r\n{{}}".encode()


def _headers(random: Random, token: str) -> bytes:
    header = random.choice(
        (f"x: {'y' * 70_000}", "upgrade: websocket", "no colon", "x: a\r\n b", "expect: 100-continue", "a\x00: b")
    )
    return _request("GET", "/", b"", header, "upgrade: websocket")


def status(host: str, port: int, request: bytes) -> str:
    """Send a request and return the status code of the response, or "closed" if there is none."""
    with socket.create_connection((host, port), timeout=30) as connection, connection.makefile("rb") as response:
        try:
            connection.sendall(request)
            line = response.readline().split()
            if line[1:2] == [b"100"]:
                line = (response.readline(), response.readline().split())[1]
        except TimeoutError:
            return "none within 30 seconds"
        except OSError:
            return "closed"
    return line[1].decode() if len(line) > 1 else "closed"
