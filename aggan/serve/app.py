"""The web application: `POST /v1/translate`, `GET /v1/models`, `GET /health`, and their description in OpenAPI."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from aggan.errors import UserError
from aggan.images.uploads import TooManyPixels
from aggan.serve.models import ServedModel
from aggan.serve.request import TranslateQuery
from aggan.serve.translation import require_possible, translate
from aggan.serve.work_queue import ClientGone, WorkQueue
from aggan.version import __version__
from aggan.web.bodies import Drained, check_content_length, read_body

BODY_SECONDS = 30.0
"""Seconds within which an image must arrive."""
DRAIN_SECONDS = 10.0
"""Seconds within which a refused image is received to its end."""
MAX_DETAIL = 500
"""Letters of an error, which may quote the request."""
CLIENT_GONE = 499
"""The status of replies that nobody receives."""
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_BODY = {"schema": {"type": "string", "format": "binary"}}


@dataclass(frozen=True)
class Limits:
    """What one request and all of them may take."""

    megapixels: float
    megabytes: float
    waiting: int
    """Requests that wait while one is translated."""
    seconds: float
    """From the arrival of an image to its translation."""


class ErrorReply(BaseModel):
    """Every refusal."""

    detail: str
    """One sentence."""


class ModelReply(BaseModel):
    """A model that is served."""

    name: str
    domains: tuple[str, ...]
    """Those that it translates to."""
    sources: tuple[str, ...]
    """Those that it was trained on."""
    method: str
    size: int
    """Side of the training images in pixels."""
    attention: bool
    """Whether there are a mask and a content."""
    stochastic: bool
    """Whether several samples differ."""
    faces: bool
    """Whether faces can be found here."""


class HealthReply(BaseModel):
    """The state of the server."""

    status: str
    version: str
    taken: int
    """Places of the queue that are taken, with the one that is translated."""
    places: int


ERRORS = {
    408: "The image did not arrive in time.",
    413: "The image has too many bytes or pixels.",
    415: "The body is not an image.",
    422: "An option or the image cannot be used.",
    429: "The queue is full. Retry-After holds seconds.",
    503: "The translation took too long.",
}
_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": dict.fromkeys(("image/*", "application/zip"), _BODY), "description": "The output."},
    **{status: {"model": ErrorReply, "description": text} for status, text in ERRORS.items()},
}


class TranslationApi:
    """The request handlers."""

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        self.models, self.limits = {model.name: model for model in models}, limits
        self.queue = WorkQueue(limits.waiting, limits.seconds)

    async def health(self) -> HealthReply:
        """Whether the server runs, and how full its queue is."""
        return HealthReply(status="ok", version=__version__, taken=self.queue.taken, places=self.queue.size)

    async def list_models(self) -> list[ModelReply]:
        """The models that this server offers. The first one is the default."""
        return [_describe(model) for model in self.models.values()]

    async def translate(self, query: Annotated[TranslateQuery, Query()], request: Request) -> Response:
        """Translate the image that is the body of the request."""
        model = self._model(query.model)
        require_possible(model, query)
        _require_image(request)
        max_bytes = int(self.limits.megabytes * 1e6)
        check_content_length(request.scope, max_bytes)
        with self.queue.place():
            body = await read_body(request.receive, max_bytes, BODY_SECONDS)
            if body is None:
                raise ClientGone
            work = partial(translate, body, model, query, self.limits.megapixels)
            reply = await self.queue.run(work, request.receive)
        return Response(reply.content, 200, HEADERS, reply.media_type)

    def _model(self, name: str | None) -> ServedModel:
        model = self.models.get(next(iter(self.models)) if name is None else name)
        if model is None:
            raise UserError(f"no model {name!r} here; there are {', '.join(self.models)}")
        return model


def create_app(api: TranslationApi) -> FastAPI:
    """Create the web application. Nothing in it comes from another server, not even a page for its description."""
    app = FastAPI(title="AGGAN", version=__version__, docs_url=None, redoc_url=None)
    body = {"requestBody": {"required": True, "content": {"image/*": _BODY}}}
    app.add_api_route("/health", api.health)
    app.add_api_route("/v1/models", api.list_models)
    app.add_api_route(
        "/v1/translate",
        api.translate,
        methods=["POST"],
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra=body,
    )
    app.add_middleware(Drained, seconds=DRAIN_SECONDS)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(UserError, _refuse)
    app.add_exception_handler(ClientGone, lambda *_: Response(status_code=CLIENT_GONE))
    return app


def _require_image(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    # Other types could be sent by any page that a browser on this machine shows.
    if not content_type.startswith(("image/", "application/octet-stream")):
        raise HTTPException(415, "the body must be an image file, with its content-type, for example image/jpeg")


def _describe(model: ServedModel) -> ModelReply:
    translator = model.translator
    return ModelReply(
        name=model.name,
        domains=translator.domains,
        sources=translator.card.domains,
        method=translator.card.method.method,
        size=translator.card.size,
        attention=translator.attention,
        stochastic=translator.method.stochastic,
        faces=model.faces is not None,
    )


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    """One sentence about the first invalid option. The default would list all of them with their values."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _refusal(422, f"{first['loc'][-1]}: {first['msg']}")


async def _refuse(request: Request, error: Exception) -> Response:
    status = 413 if isinstance(error, TooManyPixels) else 422
    return _refusal(status, str(error).replace("--", ""))  # a query's options have no dashes


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse(ErrorReply(detail=detail[:MAX_DETAIL]).model_dump(), status)
