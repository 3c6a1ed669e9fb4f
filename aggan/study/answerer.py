"""Participants made of code, who go through a real server as a page does: for `simulate`, tests and load."""

import http.client
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

from aggan.study.design import Kind, Side, Trial, trials
from aggan.study.plan import Plan

TOO_MANY = 429


class Refusal(Exception):
    """The server's refusal of a request."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status = status


class Visitor:
    """One page's connection to a server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.token = ""
        self.state: dict[str, Any] = {}

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def join(self) -> None:
        """Begin a participation."""
        self.token = secrets.token_urlsafe(32)
        self.state = self.post("/participants", {"token": self.token})

    @property
    def number(self) -> int:
        """The participant's, which stands in the addresses of the pictures."""
        return int(self.state["trials"][0]["left"].split("/")[2])

    def answer(self, trial: int, chosen: Side, milliseconds: int = 900) -> dict[str, Any]:
        """Answer a pair."""
        return self.post("/answers", {"trial": trial, "chosen": chosen, "milliseconds": milliseconds})

    def post(self, path: str, sent: Any) -> dict[str, Any]:
        """Send JSON and give the answer; waits where it is told that it is too fast; raises `Refusal`."""
        while True:
            self.connection.request("POST", path, json.dumps(sent), self._headers())
            reply = self.connection.getresponse()
            told = json.loads(reply.read())
            if reply.status == TOO_MANY:
                time.sleep(0.5)
                continue
            if reply.status >= 400:
                raise Refusal(reply.status, told["refused"])
            return told

    def get(self, path: str) -> bytes:
        """Fetch something; raises `Refusal`."""
        self.connection.request("GET", path, headers=self._headers())
        reply = self.connection.getresponse()
        told = reply.read()
        if reply.status >= 400:
            raise Refusal(reply.status, told.decode("utf-8", "replace"))
        return told

    def _headers(self) -> dict[str, str]:
        return {"content-type": "application/json"} | ({"authorization": f"Bearer {self.token}"} if self.token else {})


@dataclass(frozen=True)
class Person:
    """Somebody with known rates of being fooled; who is careless tosses a coin everywhere."""

    rates: dict[str, float]
    careless: bool
    random: Random

    def choose(self, trial: Trial) -> Side:
        """The side they hold to be real."""
        rate = self.rates[trial.system] if trial.kind is not Kind.CHECK else 0.0
        wrong = self.random.random() < (0.5 if self.careless else rate)
        return Side.RIGHT if wrong == (trial.real is Side.LEFT) else Side.LEFT


def take_part(url: str, plan: Plan, person: Person) -> Iterator[int]:
    """Go through a whole study, pictures and all; yields after each answer."""
    with closing(Visitor(url)) as visitor:
        visitor.join()
        shown = trials(plan, visitor.number)
        for index, trial in enumerate(shown):
            for side in Side:
                visitor.get(visitor.state["trials"][index][side])
            visitor.answer(index, person.choose(trial))
            yield index
