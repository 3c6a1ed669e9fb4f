"""The web page: in a real browser, with no word to the world outside, and with files that mean harm."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image as Pillow
from translating import below, noise, refused, saved
from worlds import SMALL

from aggan.cli.demo import _called
from aggan.cli.main import run
from aggan.demo.session import Model, Shelf, Visits, Wish, fetch
from aggan.errors import UserError
from aggan.inference.compositing import Layers, NothingSeen
from aggan.inference.translator import load
from aggan.inference.views import whole
from aggan.methods import aggan
from aggan.methods.pretrained import ModelCard, save_model

WISH = Wish("smile", "whole", 1.0)


def png(width: int, height: int) -> bytes:
    """A black picture of so many pixels: a small file that is huge once it is decoded."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    lines = zlib.compress(bytes(min(height, 1000) * (1 + -(-width // 8))))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def jpeg(folder: Path, height: int = 40, width: int = 60) -> Path:
    Pillow.fromarray(noise(height, width)).save(folder / "a.jpg")
    return folder / "a.jpg"


HOSTILE = {
    "bomb.png": (png(50_000, 50_000), r"too large a picture"),
    "large.png": (png(9_000, 9_000), r"9000 x 9000 pixels; at most 16 megapixels"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', r"not a picture"),
    "program.png": (b"\x7fELF" + bytes(4000), r"not a picture"),
    "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"This is a EPS file\. Take one of AVIF"),
    "empty.png": (b"", r"not a picture"),
}


@pytest.mark.parametrize(("name", "content", "expected"), [(n, *rest) for n, rest in HOSTILE.items()], ids=HOSTILE)
def test_harmful_files_are_refused_in_one_sentence_without_their_path(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected) as told:
        fetch(tmp_path / name, 16.0)
    assert str(tmp_path) not in str(told.value)


def test_a_truncated_picture_is_refused(tmp_path):
    file = jpeg(tmp_path)
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(UserError, match=r"^This cannot be used: broken picture\.$"):
        fetch(file, 16.0)


def test_visitors_are_not_told_where_a_result_could_not_be_written(tmp_path, visits, monkeypatch):
    monkeypatch.setattr(
        "aggan.images.file.write_whole", Mock(side_effect=UserError(f"cannot write {tmp_path}"))
    )
    with pytest.raises(UserError, match=r"^The result could not be written\.$") as told:
        visits.translate(str(jpeg(tmp_path)), WISH, "happy")
    assert str(tmp_path) in str(told.value.__cause__)


@pytest.fixture
def visits(tmp_path, model) -> Visits:
    return Visits({"smile": Model(load(model), {"whole": whole})}, 16.0, Shelf(tmp_path))


def test_a_translation_is_shown_small_and_kept_at_its_size_and_format(tmp_path, visits):
    shown = visits.translate(str(jpeg(tmp_path, 1500, 2000)), WISH, "happy")
    for part in shown[:4]:
        assert part.size == (1200, 900)
    assert shown.file.name == "a-happy.jpg"
    with Pillow.open(shown.file) as made:
        assert (made.format, made.size) == ("JPEG", (2000, 1500))


def test_without_strength_nothing_changes(tmp_path, visits):
    before, after, *_ = visits.translate(str(jpeg(tmp_path)), WISH._replace(strength=0.0), "happy")
    assert np.array_equal(before, after)


def test_everything_shows_every_domain(tmp_path, visits):
    assert [name for _, name in visits.everything(str(jpeg(tmp_path)), WISH)] == ["neutral", "happy"]


def test_visitors_are_told_what_is_missing(tmp_path, visits, model):
    with pytest.raises(UserError, match="Choose a picture first"):
        visits.translate(None, WISH, "happy")

    def blind(picture: object, model: object) -> Layers:
        raise NothingSeen("no face")

    seeing_nothing = Visits({"smile": Model(load(model), {"whole": blind})}, 16.0, Shelf(tmp_path))
    with pytest.raises(UserError, match="There is no face in this picture"):
        seeing_nothing.translate(str(jpeg(tmp_path)), WISH, "happy")


def test_only_the_newest_results_stay_on_disk(tmp_path):
    shelf = Shelf(tmp_path)
    places = [shelf.place() for _ in range(103)]
    assert [place.exists() for place in places] == [False] * 3 + [True] * 100


def test_mistakes_are_one_line(tmp_path, capsys):
    assert "no model here" in refused(capsys, run(["demo", str(tmp_path / "gone")]))
    for more, expected in [
        (("--megapixels", "-1"), "--megapixels is a size above 0, not -1"),
        (("--megapixels", "nan"), "--megapixels is a size above 0, not nan"),
        (("--port", "99999"), "--port is a number from 1 to 65535, not 99999"),
        (("--port", "-1"), "--port is a number from 1 to 65535, not -1"),
        (("--threads", "-1"), "--threads -1: it should be at least 1"),
        (("faces64", "faces64"), "two of the models are the same: name each once"),
    ]:
        assert expected in refused(capsys, run(["demo", *more]))


def test_models_of_one_name_are_told_apart(tmp_path):
    for name in ("a/best", "b/best", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert _called([f"{tmp_path}/a/best", f"{tmp_path}/c", "faces64"]) == ["best", "c", "faces64"]
    named = _called([f"{tmp_path}/a/best", f"{tmp_path}/b/best", "faces64"])
    assert named == ["a/best", "b/best", "faces64"]


@pytest.mark.filterwarnings("ignore")
def test_an_address_in_place_of_a_picture_is_not_fetched():
    import asyncio

    from aggan.demo.page import gradio

    pytest.importorskip("gradio")
    library = gradio()
    with pytest.raises(library.Error, match="not fetched from elsewhere"):
        asyncio.run(library.processing_utils.async_ssrf_protected_download("http://192.0.2.1/a.png"))


# From here on with a server, and mostly with a browser.


AN_ERROR_OF_OURS = """
from aggan.cli import main
from aggan.demo.session import Visits
Visits.everything = lambda *given: {}["secret"]
main()
"""


@pytest.fixture
def room(tmp_path) -> Path:
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


@pytest.mark.slow
def test_visitors_are_told_little_and_what_they_sent_and_got_is_hidden_and_goes_with_the_server(tmp_path, room, model):
    client = pytest.importorskip("gradio_client")
    pytest.importorskip("gradio")
    port = free_port()
    command = [sys.executable, "-c", AN_ERROR_OF_OURS, "demo", str(model), "--port", str(port), "--threads", "1"]
    settings = os.environ | {"TMPDIR": str(room)}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=settings) as server,
    ):
        try:
            address = _when_up(f"http://127.0.0.1:{port}", server, tmp_path / "log")
            visitor = client.Client(address, verbose=False, download_files=False)
            wish = ("model", "the whole picture", 1.0)
            visitor.predict(client.handle_file(jpeg(tmp_path)), *wish, "happy", api_name="/act")
            kept = [folder for folder in room.iterdir() if list(folder.rglob("*.jpg"))]
            with pytest.raises(client.exceptions.AppError, match="Choose a picture first"):
                visitor.predict(None, *wish, "happy", api_name="/act")
            with pytest.raises(client.exceptions.AppError) as told:
                visitor.predict(None, *wish, api_name="/act_2")
            assert [folder.stat().st_mode & 0o077 for folder in kept] == [0]
        finally:
            server.terminate()
    assert "secret" not in str(told.value)
    assert "secret" in (tmp_path / "log").read_text()
    assert not below(room)


CHROMIUM = Path("/usr/bin/chromium")
needs_a_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A running demo with a model of two domains and one of three."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("demo")
    saved(folder / "smile", aggan.Config.model_validate(SMALL))
    from aggan.methods import stargan

    many = stargan.Config(generator_width=4, generator_blocks=1, discriminator_width=4)
    card = ModelCard(system=many, domains=("neutral", "happy", "sad"), size=64)
    save_model(folder / "many", card, card.build().translators_state())
    port = free_port()
    command = [sys.executable, "-m", "aggan", "demo", str(folder / "smile"), str(folder / "many")]
    command += ["--port", str(port), "--threads", "1"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        yield _when_up(f"http://127.0.0.1:{port}", server, folder / "log")
        server.terminate()


def _when_up(address: str, server: subprocess.Popen, log: Path) -> str:
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return address
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.fixture
def page(address):
    """A new tab; it fails the test if it asks anybody but the demo for anything."""
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(60_000)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        tab.get_by_role("button", name="Translate").wait_for()
        yield tab
        browser.close()
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def upload(page, file: Path) -> None:
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name=re.compile("Remove|Clear")).first.wait_for()


@needs_a_browser
@pytest.mark.slow
def test_a_picture_goes_in_and_its_translation_comes_out(page, tmp_path):
    upload(page, jpeg(tmp_path))
    page.get_by_label("the whole picture").click() if page.get_by_label("the whole picture").count() else None
    page.get_by_role("button", name="Translate").click()
    button = page.locator("a[download], button:not([disabled])", has_text="Download at full size").first
    button.wait_for()
    with page.expect_download() as download:
        button.click()
    download.value.save_as(tmp_path / "made.jpg")
    with Pillow.open(tmp_path / "made.jpg") as made:
        assert (made.format, made.size) == ("JPEG", (60, 40))


@needs_a_browser
@pytest.mark.slow
def test_many_domains_are_shown_all_at_once(page, tmp_path):
    upload(page, jpeg(tmp_path))
    page.get_by_label("Model").click()
    page.get_by_role("option", name="many").click()
    page.get_by_role("button", name="All at once").wait_for()
    if page.get_by_label("the whole picture").count():
        page.get_by_label("the whole picture").click()
    page.get_by_role("button", name="All at once").click()
    for name in ("neutral", "happy", "sad"):
        page.locator(".gallery-item, .thumbnail-item, .caption-label", has_text=name).first.wait_for()


@needs_a_browser
@pytest.mark.slow
def test_a_harmful_file_gets_one_clear_message_and_the_next_visitor_is_served(page, tmp_path):
    for name in ("bomb.png", "drawing.svg", "program.png"):
        content, expected = HOSTILE[name]
        (tmp_path / name).write_bytes(content)
        page.reload()
        page.get_by_role("button", name="Translate").wait_for()
        page.set_input_files("input[type=file]", tmp_path / name)
        page.wait_for_timeout(1500)
        page.get_by_role("button", name="Translate").click()
        page.locator(".toast-body", has_text=re.compile(expected)).wait_for()
        assert page.locator(".toast-body").count() == 1
    page.reload()
    page.get_by_role("button", name="Translate").wait_for()
