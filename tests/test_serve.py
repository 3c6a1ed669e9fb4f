"""Models over HTTP: the same files as `aggan translate`, limits, refusals in one sentence, and a graceful stop."""

import asyncio
import io
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from cli_helpers import error_line, files_below, noise, save_small_model, translate
from PIL import Image as Pillow
from test_demo import HOSTILE
from web_server import free_port, server

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from aggan.cli.main import run
from aggan.inference.faces import Faces
from aggan.inference.translator import load
from aggan.serve import app as app_module
from aggan.serve.app import Limits, TranslationApi, create_app
from aggan.serve.models import ServedModel
from aggan.serve.work_queue import ClientGone, WorkQueue

LIMITS = Limits(megapixels=16.0, megabytes=1.0, waiting=2, seconds=30.0)
TRANSLATE = "/v1/translate"


def encoded(format: str = "PNG", height: int = 40, width: int = 60, **options: Any) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(noise(height, width)).save(stream, format, **options)
    return stream.getvalue()


@pytest.fixture
def api(model) -> TranslationApi:
    return TranslationApi([ServedModel("smile", load(model), None)], LIMITS)


@pytest.fixture
def client(api) -> Iterator[TestClient]:
    with TestClient(create_app(api)) as client:
        yield client


def post(client: TestClient, content: bytes = b"", content_type: str = "image/png", **query: Any):
    return client.post(
        TRANSLATE, params={"to": "happy"} | query, content=content or encoded(), headers={"content-type": content_type}
    )


def names_in(archive: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


# --- what a client gets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "suffix", "media_type"),
    [
        ("PNG", ".png", "image/png"),
        ("JPEG", ".jpg", "image/jpeg"),
        ("WEBP", ".webp", "image/webp"),
        ("TIFF", ".tif", "image/tiff"),
        ("BMP", ".bmp", "image/png"),
    ],
)
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_the_files_are_those_of_aggan_translate(tmp_path, client, model, format, suffix, media_type, strength):
    source = tmp_path / "in" / f"image{suffix}"
    source.parent.mkdir()
    source.write_bytes(encoded(format, dpi=(300, 300)))
    assert translate(model, source, out=tmp_path / "out", more=("--masks", "--strength", str(strength))) == 0
    files = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert len(files) == 3
    reply = post(client, source.read_bytes(), strength=strength, output="zip")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert {name: archive.read(name) for name in archive.namelist()} == files
    for output, expected in (("image", media_type), ("mask", "image/png"), ("content", "image/png")):
        single = post(client, source.read_bytes(), strength=strength, output=output)
        assert single.headers["content-type"] == expected
        assert single.content == next(content for name, content in files.items() if is_output(name, output))


def is_output(name: str, output: str) -> bool:
    """Whether a file of a translation is its image, its mask or its content."""
    parts = Path(name).suffixes[:-1]
    return parts == ([] if output == "image" else [f".{output}"])


def test_png_tiles_and_samples_are_those_of_aggan_translate(tmp_path, client, model):
    (tmp_path / "image.jpg").write_bytes(encoded("JPEG"))
    more = ("--png", "--tiles", "--samples", "2")
    assert translate(model, tmp_path / "image.jpg", out=tmp_path / "out", more=more) == 0
    reply = post(client, encoded("JPEG"), png=True, tiles=True, samples=2, output="zip")
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert {name for name in archive.namelist() if name.count(".") == 2} == files_below(tmp_path / "out")
    assert len(archive.namelist()) == 6
    for name in files_below(tmp_path / "out"):
        assert archive.read(name) == (tmp_path / "out" / name).read_bytes()


def test_a_model_without_attention_has_images_only(tmp_path, small):
    plain = {"attention_guided_generators": False, "attention_guided_discriminators": False}
    model = load(save_small_model(tmp_path / "plain", small.model_copy(update=plain)))
    client = TestClient(create_app(TranslationApi([ServedModel("plain", model, None)], LIMITS)))
    assert names_in(post(client, output="zip").content) == ["image.png"]
    assert refusal(post(client, output="mask")) == (422, "this model has no attention, so there is no mask")
    assert not client.get("/v1/models").json()[0]["attention"]


def test_models_and_health(client):
    (model,) = client.get("/v1/models").json()
    assert (model["name"], model["domains"], model["size"]) == ("smile", ["neutral", "happy"], 32)
    assert (model["attention"], model["stochastic"], model["faces"]) == (True, False, False)
    health = client.get("/health").json()
    assert (health["status"], health["taken"], health["places"]) == ("ok", 0, 3)


def test_the_description_names_every_option_output_and_refusal(client):
    operation = client.get("/openapi.json").json()["paths"][TRANSLATE]["post"]
    options = {parameter["name"] for parameter in operation["parameters"]}
    expected = {"to", "model", "output", "strength", "faces", "tiles", "png", "bits", "source", "samples"}
    assert options == expected
    assert set(operation["responses"]) == {"200", "408", "413", "415", "422", "429", "503"}
    assert set(operation["responses"]["200"]["content"]) >= {"image/*", "application/zip"}
    assert "image/*" in operation["requestBody"]["content"]


def test_nothing_is_loaded_from_other_servers(client):
    assert [client.get(path).status_code for path in ("/docs", "/redoc", "/")] == [404] * 3


# --- refusals ------------------------------------------------------------------------------------------


def refusal(reply: Any) -> tuple[int, str]:
    body = reply.json()
    assert list(body) == ["detail"], body
    return reply.status_code, body["detail"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"to": "sad"}, "no domain 'sad' in this model; it translates to neutral and happy"),
        ({"source": "sad"}, "no domain 'sad' in this model; it knows neutral, happy"),
        ({"model": "frown"}, "no model 'frown' here; there are smile"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"strength": "2"}, "strength: Input should be less than or equal to 1"),
        ({"strength": "nan"}, "strength: "),
        ({"strength": "x"}, "strength: Input should be a valid number"),
        ({"output": "all"}, "output: Input should be 'image', 'mask', 'content' or 'zip'"),
        ({"bits": "7"}, "bits: Input should be greater than or equal to 8"),
        ({"samples": "1000", "output": "zip"}, "samples: Input should be less than or equal to 16"),
        ({"samples": "2"}, "several samples need a zip file: choose output=zip"),
        ({"faces": "true"}, "this server cannot find faces: the extra `faces` is not installed there"),
        ({"faces": "true", "tiles": "true"}, "faces and tiles exclude each other: choose one"),
        ({"to": "x" * 5000}, "to: String should have at most 200 characters"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(client, query, expected):
    status, detail = refusal(post(client, **query))
    assert status == 422
    assert detail.startswith(expected)


def test_a_domain_is_required(client):
    reply = client.post(TRANSLATE, content=encoded(), headers={"content-type": "image/png"})
    assert refusal(reply) == (422, "to: Field required")


@pytest.mark.parametrize(("name", "content", "expected"), [(n, *rest) for n, rest in HOSTILE.items()], ids=HOSTILE)
def test_hostile_images_are_refused_and_the_next_one_is_translated(client, name, content, expected):
    status, detail = refusal(
        client.post(f"{TRANSLATE}?to=happy", content=content, headers={"content-type": "image/png"})
    )
    assert status == (413 if name == "large.png" else 422)
    assert re.search(expected, detail)
    assert post(client).status_code == 200


def test_broken_images_are_refused(client):
    assert refusal(post(client, encoded("JPEG")[:900])) == (422, "This file cannot be used: broken image.")
    assert refusal(post(client, b"\0" * 2000)) == (422, "This file cannot be used: not an image.")


@pytest.mark.parametrize(
    "content_type",
    ["", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "imagepng"],
)
def test_a_body_that_is_not_announced_as_an_image_is_refused(client, content_type):
    assert refusal(post(client, content_type=content_type))[0] == 415


def test_a_file_of_any_image_type_or_none_is_read_by_its_content(client):
    assert post(client, encoded("JPEG"), "image/png").headers["content-type"] == "image/jpeg"
    assert post(client, content_type="application/octet-stream").status_code == 200


def test_too_many_bytes_are_refused_whether_announced_or_not(client):
    content = bytes(1_000_001)
    assert refusal(post(client, content)) == (413, "too large: the limit is 1000000 bytes")
    pieces = (content[:500_000] for _ in range(3))
    headers = {"content-type": "image/png"}
    assert refusal(client.post(f"{TRANSLATE}?to=happy", content=pieces, headers=headers))[0] == 413
    assert client.get("/health").json()["taken"] == 0


def test_an_image_without_faces_is_refused(model):
    served = ServedModel("smile", load(model), Faces(lambda _: []))
    client = TestClient(create_app(TranslationApi([served], LIMITS)))
    assert refusal(post(client, faces=True)) == (422, "there is no face in this image")


def test_an_image_that_does_not_arrive_is_refused_and_its_place_is_free_again(api, monkeypatch):
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.01)
    monkeypatch.setattr(app_module, "DRAIN_SECONDS", 0.01)
    sent = asyncio.run(exchange(api, [], hang=True))
    assert sent[0]["status"] == 408
    assert api.queue.taken == 0


def test_a_client_that_is_gone_frees_its_place(api):
    asyncio.run(exchange(api, [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]))
    assert api.queue.taken == 0


async def exchange(api: TranslationApi, messages: list[dict[str, Any]], hang: bool = False) -> list[dict[str, Any]]:
    """What the application sends to a client that sends `messages` and, with `hang`, then waits."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if hang and not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": TRANSLATE,
        "query_string": b"to=happy",
        "headers": [(b"content-type", b"image/png")],
    }
    await create_app(api)(scope, receive, send)  # pyright: ignore[reportArgumentType]
    return sent


# --- the queue -----------------------------------------------------------------------------------------


async def connected() -> Any:
    """A `receive` whose client stays."""
    await asyncio.Event().wait()


def test_work_runs_in_order_and_one_at_a_time():
    log: list[str] = []

    def work(name: str) -> str:
        log.append(f"{name} begins")
        time.sleep(0.01)
        log.append(f"{name} ends")
        return name

    async def main() -> list[str]:
        queue = WorkQueue(5, 30.0)
        return await asyncio.gather(*(queue.run(lambda _, name=name: work(name), connected) for name in "abc"))

    assert asyncio.run(main()) == ["a", "b", "c"]
    assert log == [f"{name} {verb}" for name in "abc" for verb in ("begins", "ends")]


def test_work_that_takes_too_long_is_abandoned_and_what_waits_behind_it_never_starts():
    started, abandoned, end = [], threading.Event(), threading.Event()

    def endless(flag: threading.Event) -> None:
        started.append("endless")
        if flag.wait(30):
            abandoned.set()
        end.wait(30)

    async def main() -> list[Any]:
        queue = WorkQueue(5, 0.05)
        behind = (queue.run(lambda _: started.append("behind"), connected) for _ in range(2))
        try:
            return await asyncio.gather(queue.run(endless, connected), *behind, return_exceptions=True)
        finally:
            end.set()

    errors = asyncio.run(main())
    assert [error.status_code for error in errors] == [503] * 3
    assert all(int(error.headers["retry-after"]) >= 1 for error in errors)
    assert abandoned.wait(30)
    assert started == ["endless"]


def test_work_of_a_client_that_is_gone_is_abandoned():
    abandoned = threading.Event()

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def main() -> None:
        with pytest.raises(ClientGone):
            await WorkQueue(5, 30.0).run(lambda flag: flag.wait(30) and abandoned.set(), gone)

    asyncio.run(main())
    assert abandoned.wait(30)


@pytest.fixture
def gate(monkeypatch) -> threading.Event:
    """Translations wait for it."""
    gate, translate_now = threading.Event(), app_module.translate

    def wait(*arguments: Any) -> Any:
        assert gate.wait(60)
        return translate_now(*arguments)

    monkeypatch.setattr(app_module, "translate", wait)
    return gate


def test_a_full_queue_refuses_and_loses_nothing_that_it_accepted(api, client, gate):
    with ThreadPoolExecutor(3) as pool:
        accepted = [pool.submit(post, client) for _ in range(3)]
        while api.queue.taken < 3:
            time.sleep(0.01)
        reply = post(client)
        assert refusal(reply) == (429, "the queue is full: try again soon")
        assert int(reply.headers["retry-after"]) >= 1
        assert client.get("/health").json()["taken"] == 3
        gate.set()
        assert [one.result().status_code for one in accepted] == [200] * 3
    assert post(client).status_code == 200


def test_many_clients_each_get_their_own_image(api):
    images = [encoded(height=20 + number, width=30) for number in range(12)]
    patient = TranslationApi(list(api.models.values()), Limits(16.0, 1.0, waiting=12, seconds=60.0))
    with TestClient(create_app(patient)) as client, ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda content: post(client, content), images))
    heights = [Pillow.open(io.BytesIO(reply.content)).height for reply in replies]
    assert heights == [20 + number for number in range(12)]


# --- the command ---------------------------------------------------------------------------------------


def test_mistakes_are_one_line(tmp_path, capsys):
    port = str(free_port())
    assert "no model here" in error_line(capsys, run(["serve", str(tmp_path / "gone"), "--port", port]))
    for more, expected in [
        (("--megapixels", "nan"), "--megapixels must be above 0, not nan"),
        (("--megabytes", "0"), "--megabytes must be above 0 and finite, not 0"),
        (("--seconds", "inf"), "--seconds must be above 0 and finite, not inf"),
        (("--queue", "-1"), "--queue must be 0 or more, not -1"),
        (("--port", "0"), "--port must be between 1 and 65535, not 0"),
        (("--host", "192.0.2.1"), "cannot listen on http://192.0.2.1:8000"),
        (("faces64", "faces64"), "a model is named twice: name each model once"),
    ]:
        assert expected in error_line(capsys, run(["serve", *more]))


def test_the_extra_is_named_if_it_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "serving models needs uvicorn" in error_line(capsys, run(["serve"]))


def send(url: str, content: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{url}{TRANSLATE}?to=happy", content, {"content-type": "image/png"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
        return reply.status, reply.read()


SLOW = """
import sys, time
from aggan.cli.main import main
from aggan.serve import app
translate = app.translate
app.translate = lambda *arguments: (time.sleep(1), translate(*arguments))[1]
main()
"""


@pytest.mark.slow
def test_a_stop_drains_what_was_accepted_and_nothing_was_written(tmp_path, model):
    (tmp_path / "temporary").mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-c",
        SLOW,
        "serve",
        str(model),
        "--port",
        str(port),
        "--threads",
        "1",
        "--megabytes",
        "1",
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    with (
        server(command, f"{url}/health", tmp_path / "log", environment) as process,
        ThreadPoolExecutor(3) as pool,
    ):
        accepted = [pool.submit(send, url, encoded()) for _ in range(3)]
        while health(url)["taken"] < 3:
            time.sleep(0.05)
        with pytest.raises(HTTPError) as error:  # and not a connection that is reset while the client still sends
            send(url, bytes(20_000_000))
        process.send_signal(signal.SIGTERM)
        replies = [one.result() for one in accepted]
        process.wait(60)
    error.value.close()
    assert error.value.code == 413
    assert [status for status, _ in replies] == [200] * 3
    assert all(Pillow.open(io.BytesIO(content)).size == (60, 40) for _, content in replies)
    assert not files_below(tmp_path / "temporary")
    assert "Traceback" not in (tmp_path / "log").read_text()


def health(url: str) -> dict[str, Any]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/health", timeout=60) as reply:
        return json.load(reply)
