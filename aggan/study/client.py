"""An HTTP client that speaks to a study's server as the page does: for simulations, tests and load tests."""

import http.client
import json
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from aggan.study.design import Side

TOO_MANY_REQUESTS = 429


class RequestRefusedError(Exception):
    """The server refused a request."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class StudyClient:
    """One participant's connection to a server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.root = parts.path.rstrip("/")
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.token = ""
        self.state: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def join(self) -> None:
        """Start a participation."""
        self.token = secrets.token_urlsafe(32)
        self.state = self.post("participants", {"token": self.token})

    @property
    def number(self) -> int:
        """The participant's number, which is part of the URLs of the images."""
        return int(self.state["trials"][0]["left"].split("/")[1])

    def answer(self, trial: int, chosen: Side, milliseconds: int = 900) -> dict[str, Any]:
        """Answer a trial. Returns the server's reply."""
        return self.post("answers", {"trial": trial, "chosen": chosen, "milliseconds": milliseconds})

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send JSON and return the reply; retries while the server limits the rate. Raises `RequestRefusedError`.

        `path` is relative to the URL of the study.
        """
        while True:
            self.connection.request("POST", f"{self.root}/{path}", json.dumps(content), self._headers())
            response = self.connection.getresponse()
            reply = json.loads(response.read())
            if response.status == TOO_MANY_REQUESTS:
                time.sleep(0.5)
                continue
            if response.status >= 400:
                raise RequestRefusedError(response.status, reply["detail"])
            return reply

    def get(self, path: str) -> bytes:
        """Fetch a resource below the URL of the study. Raises `RequestRefusedError`."""
        self.connection.request("GET", f"{self.root}/{path}", headers=self._headers())
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise RequestRefusedError(response.status, content.decode("utf-8", "replace"))
        return content

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return headers
