"""The study's web application. The answer key stays here: a page gets pairs under names that say nothing."""

import logging
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from aggan.study.design import Kind, Side, Trial, picture_names, trials
from aggan.study.guard import HEADERS, Guard, Refused, content_policy
from aggan.study.limits import Buckets, Limits, origin
from aggan.study.plan import PICTURES, Plan
from aggan.study.store import AlreadyHere, Identity, OutOfTurn, Store

STATIC = Path(__file__).parent / "static"
SECONDS_A_PAIR = 4
"""A guess, for the page's word on how long it takes."""
SERVICE_NAME = r"^[A-Za-z0-9_.:-]{0,128}$"
TOKEN = r"^[A-Za-z0-9_-]{43}$"
"""256 bits in URL-safe base64."""
NUMBER = re.compile(r"\d{1,9}")
FOREVER = "public, max-age=86400, immutable"


class Joining(BaseModel):
    """What a page sends when somebody agrees to take part."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str = Field(pattern=TOKEN, description="Drawn by the page, which keeps it before it asks.")
    service: str = Field(default="", pattern="^(prolific|mturk)?$")
    person: str = Field(default="", pattern=SERVICE_NAME)
    session: str = Field(default="", pattern=SERVICE_NAME)


class Chosen(BaseModel):
    """What a page sends for a pair."""

    model_config = ConfigDict(extra="forbid", strict=True)

    trial: int = Field(ge=0, lt=10_000)
    chosen: str = Field(pattern="^(left|right)$")
    milliseconds: int = Field(ge=0, lt=86_400_000)


class Desk:
    """Answers the page's questions about one study."""

    def __init__(self, study: Path, plan: Plan, store: Store, limits: Limits) -> None:
        self.pictures, self.plan, self.store = study / PICTURES, plan, store
        self.joins, self.answers = Buckets(limits.joins), Buckets(limits.answers)
        self.trials = lru_cache(1024)(lambda number: trials(plan, number))
        self.names = lru_cache(1024)(lambda number: picture_names(plan, number))

    def join(self, joining: Joining, request: Request) -> dict[str, Any]:
        """Begin a participation, or say where it stands to a page to which that was not told."""
        if self.store.find(joining.token) is None:
            if not self.joins.take(origin(request.client.host if request.client else "")):
                raise Refused(429, "too many participants begin from this address; try again in a minute")
            identity = Identity(joining.service, joining.person, joining.session)
            with suppress(AlreadyHere):
                self.store.join(joining.token, identity, self.plan.settings.once)
        found = self.store.find(joining.token)
        if found is None:
            raise Refused(403, "you have begun this study already; go on in the browser where you began")
        return self._state(*found)

    def resume(self, authorization: Annotated[str, Header(max_length=200)] = "") -> dict[str, Any]:
        """Where a participant stands."""
        return self._state(*self._known(authorization))

    def answer(self, chosen: Chosen, authorization: Annotated[str, Header(max_length=200)] = "") -> dict[str, Any]:
        """Store an answer; in practice, say whether it was right."""
        number, done = self._known(authorization)
        if not self.answers.take(str(number)):
            raise Refused(429, "too fast")
        shown = self.trials(number)
        if chosen.trial != done or chosen.trial >= len(shown):
            raise Refused(409, "not the next pair")
        try:
            self.store.answer(number, chosen.trial, Side(chosen.chosen), chosen.milliseconds)
        except OutOfTurn:
            raise Refused(409, "not the next pair") from None
        trial = shown[chosen.trial]
        told = {"real": trial.real} if trial.kind is Kind.PRACTICE else {}
        return {"done": done + 1, **told, **self._ending(shown, done + 1)}

    async def picture(self, number: str, name: str) -> Response:
        """A picture of a participant's pair."""
        file = self.names(int(number)).get(name) if NUMBER.fullmatch(number) else None
        if file is None:
            raise Refused(404, "no such picture")
        return Response((self.pictures / file).read_bytes(), 200, {"cache-control": FOREVER}, "image/png")

    def _known(self, authorization: str) -> tuple[int, int]:
        found = self.store.find(authorization.removeprefix("Bearer ")) if authorization.startswith("Bearer ") else None
        if found is None:
            raise Refused(401, "unknown participant")
        return found

    def _state(self, number: int, done: int) -> dict[str, Any]:
        shown, names = self.trials(number), [f"/pictures/{number}/{name}.png" for name in self.names(number)]
        pairs = zip(shown, names[::2], names[1::2], strict=True)
        return {
            "done": done,
            "trials": [{"left": a, "right": b, "practice": trial.kind is Kind.PRACTICE} for trial, a, b in pairs],
            **self._ending(shown, done),
        }

    def _ending(self, shown: tuple[Trial, ...], done: int) -> dict[str, Any]:
        finished = done == len(shown)
        return {"finished": finished, "completion": self.plan.settings.completion if finished else None}


def application(desk: Desk, limits: Limits, log: logging.Logger, secure: bool) -> FastAPI:
    """The web application; `secure` where it is reached by HTTPS."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = _page(desk.plan)
    app.add_api_route("/", lambda: page, response_class=HTMLResponse)
    app.add_api_route("/participants", desk.join, methods=["POST"], status_code=201)
    app.add_api_route("/participants/me", desk.resume)
    app.add_api_route("/answers", desk.answer, methods=["POST"], status_code=201)
    app.add_api_route("/pictures/{number}/{name}.png", desk.picture)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(Refused, lambda _, why: _said(why.status, why.why))  # type: ignore[attr-defined]
    app.add_exception_handler(HTTPException, lambda _, why: _said(why.status_code, "no such thing"))  # type: ignore[attr-defined]
    app.add_exception_handler(RequestValidationError, lambda *_: _said(422, "not an answer that the page would send"))
    headers = HEADERS | {"content-security-policy": content_policy(desk.plan.settings.mturk)}
    headers |= {"strict-transport-security": "max-age=31536000"} if secure else {}
    app.add_middleware(Guard, headers=headers, limits=limits, log=log)
    return app


def _page(plan: Plan) -> str:
    environment = Environment(loader=PackageLoader("aggan.study", "."), autoescape=True, undefined=StrictUndefined)
    pairs = plan.trials + len(plan.practice) + len(plan.checks)
    return environment.get_template("page.html.j2").render(
        plan=plan, pairs=pairs, minutes=max(1, round(pairs * (SECONDS_A_PAIR + plan.settings.exposure) / 60))
    )


def _said(status: int, why: str) -> JSONResponse:
    return JSONResponse({"refused": why}, status)
