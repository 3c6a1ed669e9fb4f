"""The web page: in a real browser, offline, and with hostile files."""

import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from cli_helpers import error_line, files_below, label_of, noise, read_pixels, save_small_model
from PIL import Image as Pillow
from tiny_models import SMALL
from web_server import below_path, free_port, server

from aggan.cli.main import run
from aggan.cli.model_server import display_names
from aggan.demo.session import Choices, DemoModel, ResultStore, Session
from aggan.errors import UserError
from aggan.images.ai_label import CHANGED
from aggan.images.uploads import read_upload
from aggan.inference.compositing import MaskAndContent, NothingToTranslate
from aggan.inference.translator import load
from aggan.inference.views import whole_image
from aggan.methods import aggan
from aggan.methods.pretrained import ModelCard, save_model

CHOICES = Choices("smile", "whole", 1.0)


def png(width: int, height: int) -> bytes:
    """A black image: a small file that is huge once it is decoded."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    lines = zlib.compress(bytes(min(height, 1000) * (1 + -(-width // 8))))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def jpeg(folder: Path, height: int = 40, width: int = 60) -> Path:
    Pillow.fromarray(noise(height, width)).save(folder / "a.jpg")
    return folder / "a.jpg"


HOSTILE = {
    "bomb.png": (png(50_000, 50_000), r"too large an image"),
    "large.png": (png(9_000, 9_000), r"9000 x 9000 pixels. The limit is 16 megapixels"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', r"not an image"),
    "program.png": (b"\x7fELF" + bytes(4000), r"not an image"),
    "postscript.jpg": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        r"EPS files are not supported",
    ),
    "empty.png": (b"", r"not an image"),
}


@pytest.mark.parametrize(("name", "content", "expected"), [(n, *rest) for n, rest in HOSTILE.items()], ids=HOSTILE)
def test_hostile_files_are_refused_in_one_sentence_without_their_path(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected) as error:
        read_upload(tmp_path / name, 16.0)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("installed", [True, False])
def test_heic_is_a_format_of_the_page_with_its_extra(tmp_path, monkeypatch, installed):
    pytest.importorskip("pi_heif")
    file = Path(__file__).with_name("red.heic")
    if installed:
        assert read_upload(file, 16.0).pixels.shape == (48, 64, 3)
        return
    monkeypatch.setattr("aggan.images.uploads.reads_heic", lambda: False)
    with pytest.raises(UserError, match=r"^HEIF files are not supported\. Use one of AVIF, BMP, GIF, JPEG"):
        read_upload(file, 16.0)


def test_a_truncated_image_is_refused(tmp_path):
    file = jpeg(tmp_path)
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(UserError, match=r"^This file cannot be used: broken image\.$"):
        read_upload(file, 16.0)


def test_visitors_do_not_see_where_a_result_could_not_be_written(tmp_path, session, monkeypatch):
    monkeypatch.setattr("aggan.images.file.write_atomic", Mock(side_effect=UserError(f"cannot write {tmp_path}")))
    with pytest.raises(UserError, match=r"^The result could not be written\.$") as error:
        session.translate(str(jpeg(tmp_path)), CHOICES, "happy")
    assert str(tmp_path) in str(error.value.__cause__)


@pytest.fixture
def session(tmp_path, model) -> Session:
    return Session({"smile": DemoModel(load(model), {"whole": whole_image})}, 16.0, ResultStore(tmp_path))


def test_a_translation_has_small_previews_and_is_saved_at_its_size_and_format(tmp_path, session):
    result = session.translate(str(jpeg(tmp_path, 1500, 2000)), CHOICES, "happy")
    assert result.before.size == result.mask.size == (1200, 900)
    assert read_pixels(result.after).shape == read_pixels(result.content).shape == (900, 1200, 3)
    assert result.file.name == "a-happy.jpg"
    with Pillow.open(result.file) as image:
        assert (image.format, image.size) == ("JPEG", (2000, 1500))


def test_a_model_without_attention_shows_no_mask(tmp_path, small):
    plain = {"attention_guided_generators": False, "attention_guided_discriminators": False}
    model = load(save_small_model(tmp_path / "plain", small.model_copy(update=plain)))
    session = Session({"smile": DemoModel(model, {"whole": whole_image})}, 16.0, ResultStore(tmp_path))
    result = session.translate(str(jpeg(tmp_path)), CHOICES, "happy")
    with Pillow.open(result.after) as image:
        assert image.size == (60, 40)
    assert (result.mask, result.content) == (None, None)


def test_without_strength_nothing_changes(tmp_path, session):
    (tmp_path / "a.png").write_bytes(png(60, 40))
    before, after, *_ = session.translate(str(tmp_path / "a.png"), CHOICES._replace(strength=0.0), "happy")
    assert np.array_equal(before, read_pixels(after))


def test_everything_that_a_browser_can_save_is_labelled(tmp_path, session):
    result = session.translate(str(jpeg(tmp_path)), CHOICES, "happy")
    for file in (result.file, result.after, result.content):
        assert label_of(file) == CHANGED
    for file, _ in session.translate_to_all(str(jpeg(tmp_path)), CHOICES):
        assert label_of(file) == CHANGED


def test_an_image_can_be_translated_to_all_domains(tmp_path, session):
    assert [name for _, name in session.translate_to_all(str(jpeg(tmp_path)), CHOICES)] == ["neutral", "happy"]


def test_visitors_learn_what_is_missing(tmp_path, session, model):
    with pytest.raises(UserError, match="Choose an image first"):
        session.translate(None, CHOICES, "happy")

    def find_nothing(image: object, backend: object) -> MaskAndContent:
        raise NothingToTranslate("no face")

    session = Session({"smile": DemoModel(load(model), {"whole": find_nothing})}, 16.0, ResultStore(tmp_path))
    with pytest.raises(UserError, match="There is no face in this image"):
        session.translate(str(jpeg(tmp_path)), CHOICES, "happy")


def test_a_result_of_an_upload_with_a_long_name_is_saved(tmp_path, session):
    file = jpeg(tmp_path).rename(tmp_path / f"{'é' * 124}.jpg")
    assert session.translate(str(file), CHOICES, "happy").file.name == f"{'é' * 50}-happy.jpg"


def test_only_the_newest_results_stay_on_disk(tmp_path):
    store = ResultStore(tmp_path)
    folders = [store.new_folder() for _ in range(103)]
    assert [folder.exists() for folder in folders] == [False] * 3 + [True] * 100


def test_mistakes_are_one_line(tmp_path, capsys):
    assert "no model here" in error_line(capsys, run(["demo", str(tmp_path / "gone")]))
    for more, expected in [
        (("--megapixels", "-1"), "--megapixels must be above 0, not -1"),
        (("--megapixels", "nan"), "--megapixels must be above 0, not nan"),
        (("--port", "99999"), "--port must be between 1 and 65535, not 99999"),
        (("--port", "-1"), "--port must be between 1 and 65535, not -1"),
        (("--threads", "-1"), "--threads must be 1 or more, not -1"),
        (("--root-path", "demo"), "--root-path must begin with / or be a whole URL, not demo"),
        (("faces64", "faces64"), "a model is named twice: name each model once"),
    ]:
        assert expected in error_line(capsys, run(["demo", *more]))


def test_models_of_the_same_name_get_different_names_on_the_page(tmp_path):
    for name in ("a/best", "b/best", "c"):
        (tmp_path / name).mkdir(parents=True)
    assert display_names([f"{tmp_path}/a/best", f"{tmp_path}/c", "faces64"]) == ["best", "c", "faces64"]
    names = display_names([f"{tmp_path}/a/best", f"{tmp_path}/b/best", "faces64"])
    assert names == ["a/best", "b/best", "faces64"]


@pytest.mark.filterwarnings("ignore")
def test_a_url_in_place_of_an_image_is_not_fetched():
    import asyncio

    from aggan.demo.page import import_gradio

    pytest.importorskip("gradio")
    gradio = import_gradio()
    with pytest.raises(gradio.Error, match="URLs are not fetched"):
        asyncio.run(gradio.processing_utils.async_ssrf_protected_download("http://192.0.2.1/a.png"))


# --- with a server, and mostly with a browser ---------------------------------------------------------


INTERNAL_ERROR = """
from aggan.cli.main import main
from aggan.demo.session import Session
Session.translate_to_all = lambda *arguments: {}["secret"]
main()
"""


@pytest.fixture
def temporary(tmp_path) -> Path:
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.mark.slow
def test_errors_and_files_are_hidden_from_others_and_files_are_deleted_with_the_server(tmp_path, temporary, model):
    client = pytest.importorskip("gradio_client")
    pytest.importorskip("gradio")
    port = free_port()
    command = [sys.executable, "-c", INTERNAL_ERROR, "demo", str(model), "--port", str(port), "--threads", "1"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    url = f"http://127.0.0.1:{port}"
    with server(command, url, tmp_path / "log", environment):
        visitor = client.Client(url, verbose=False, download_files=False)
        choices = ("model", "the whole image", 1.0)
        endpoints = visitor.view_api(return_format="dict", print_info=False)["named_endpoints"]
        assert set(endpoints) == {"/translate", "/translate_to_all"}
        visitor.predict(client.handle_file(jpeg(tmp_path)), *choices, "happy", api_name="/translate")
        folders = [folder for folder in temporary.iterdir() if list(folder.rglob("*.jpg"))]
        served = [file for part in ("after", "content") for file in temporary.rglob(f"uploads/**/*.{part}.webp")]
        assert [label_of(file) for file in served] == [CHANGED, CHANGED]
        with pytest.raises(client.exceptions.AppError, match="Choose an image first"):
            visitor.predict(None, *choices, "happy", api_name="/translate")
        with pytest.raises(client.exceptions.AppError) as error:
            visitor.predict(None, *choices, api_name="/translate_to_all")
        assert [folder.stat().st_mode & 0o077 for folder in folders] == [0]
    assert "secret" not in str(error.value)
    assert "secret" in (tmp_path / "log").read_text()
    assert not files_below(temporary)


@pytest.mark.slow
def test_the_page_is_served_at_an_ipv6_address(tmp_path, model):
    pytest.importorskip("gradio")
    port = free_port()
    for host in ("::1", "[::1]"):
        command = [sys.executable, "-m", "aggan", "demo", str(model), "--host", host, "--port", str(port)]
        with server(command, f"http://[::1]:{port}", tmp_path / "log"):
            pass
        assert f"http://[::1]:{port} (press Ctrl-C to stop)\n" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_an_address_of_another_machine_is_one_sentence_and_the_server_prints_nothing(tmp_path, model):
    pytest.importorskip("gradio")
    command = [sys.executable, "-m", "aggan", "demo", str(model), "--host", "192.0.2.1", "--port", str(free_port())]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    note, refusal = finished.stderr.splitlines()  # the note is about the model
    assert "where faces lie" in note
    assert "cannot listen on http://192.0.2.1" in refusal


CHROMIUM = Path("/usr/bin/chromium")
needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    """A running demo with a model of two domains and one of three."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("demo")
    save_small_model(folder / "smile", aggan.Config.model_validate(SMALL))
    from aggan.methods import stargan

    many = stargan.Config(generator_width=4, generator_blocks=1, discriminator_width=4)
    card = ModelCard(method=many, domains=("neutral", "happy", "sad"), size=64)
    save_model(folder / "many", card, card.build().inference_state_dict())
    port = free_port()
    command = [sys.executable, "-m", "aggan", "demo", str(folder / "smile"), str(folder / "many")]
    command += ["--port", str(port), "--threads", "1"]
    url = f"http://127.0.0.1:{port}"
    with server(command, url, folder / "log"):
        yield url


@pytest.fixture
def page(url):
    """A new tab. It fails the test if a request goes anywhere but to the demo."""
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(60_000)
        requests: list[str] = []
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(url)
        tab.get_by_role("button", name="Translate").wait_for()
        yield tab
        browser.close()
    assert len(requests) > 5
    assert [request for request in requests if not request.startswith((url, "data:", "blob:"))] == []


def upload(page, file: Path) -> None:
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name=re.compile("Remove|Clear")).first.wait_for()


@needs_browser
@pytest.mark.slow
def test_an_image_is_uploaded_and_its_translation_downloaded(page, tmp_path):
    upload(page, jpeg(tmp_path))
    page.get_by_label("the whole image").click() if page.get_by_label("the whole image").count() else None
    page.get_by_role("button", name="Translate").click()
    button = page.locator("a[download], button:not([disabled])", has_text="Download at full size").first
    button.wait_for()
    with page.expect_download() as download:
        button.click()
    download.value.save_as(tmp_path / "output.jpg")
    with Pillow.open(tmp_path / "output.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("forwarded", [("host",), ("x-forwarded-host",)])
def test_the_page_works_below_a_path_of_another_server(tmp_path, model, forwarded):
    pytest.importorskip("gradio")
    sync = pytest.importorskip("playwright.sync_api")
    port = free_port()
    command = [sys.executable, "-m", "aggan", "demo", str(model), "--port", str(port), "--root-path", "/faces/demo"]
    with (
        server(command, f"http://127.0.0.1:{port}", tmp_path / "log"),
        below_path("/faces/demo", port, *forwarded) as url,
        sync.sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page()
        replies: list[tuple[int, str]] = []
        tab.on("response", lambda response: replies.append((response.status, response.url)))
        tab.goto(f"{url}/")
        tab.get_by_role("button", name="Translate").wait_for()
        upload(tab, jpeg(tmp_path))
        tab.get_by_label("the whole image").click() if tab.get_by_label("the whole image").count() else None
        tab.get_by_role("button", name="Translate").click()
        button = tab.locator("a[download], button:not([disabled])", has_text="Download at full size").first
        button.wait_for()
        with tab.expect_download() as download:
            button.click()
        download.value.save_as(tmp_path / "output.jpg")
        browser.close()
    with Pillow.open(tmp_path / "output.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (60, 40))
    elsewhere = [(status, at) for status, at in replies if not at.startswith((url, "data:", "blob:"))]
    assert [reply for reply in elsewhere if not reply[1].endswith("/favicon.ico")] == []
    assert max(status for status, at in replies if at.startswith(url)) < 400


@needs_browser
@pytest.mark.slow
def test_an_image_is_shown_in_all_domains(page, tmp_path):
    upload(page, jpeg(tmp_path))
    page.get_by_label("Model").click()
    page.get_by_role("option", name="many").click()
    page.get_by_role("button", name="All domains").wait_for()
    if page.get_by_label("the whole image").count():
        page.get_by_label("the whole image").click()
    page.get_by_role("button", name="All domains").click()
    for name in ("neutral", "happy", "sad"):
        page.locator(".gallery-item, .thumbnail-item, .caption-label", has_text=name).first.wait_for()


@needs_browser
@pytest.mark.slow
def test_a_hostile_file_gets_one_message_and_the_next_visitor_is_served(page, tmp_path):
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
