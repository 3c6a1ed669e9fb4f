"""The web page: drop an image or use the camera, choose a domain, compare before and after. Needs the extra `demo`.

It works offline: no fonts, scripts or statistics come from elsewhere, and no URL that a visitor sends is fetched.
"""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from aggan.demo.session import Choices, Session
from aggan.errors import UserError
from aggan.extras import require_module
from aggan.web.listening import url

_QUEUE_SIZE, _MAX_MEGABYTES = 20, 40
_DELETE_CACHE = (600, 3600)
"""Seconds between two clean-ups, and the age in seconds at which uploads are deleted."""
SOURCES, BUTTONS = ["upload", "webcam", "clipboard"], ["download", "fullscreen"]
"""Without gradio's button that shares images on its makers' site."""
_INTRODUCTION = "# AGGAN\nDrop an image to see where the model changes it, what it draws there, and the result."


def import_gradio() -> Any:
    """Import gradio without its network requests. Raises `UserError` if the extra `demo` is not installed."""
    # gradio asks its own server whether it runs, and no proxy can answer that.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    gradio: Any = require_module("gradio", "demo", "the web page")

    async def refuse(*_: Any, **__: Any) -> str:
        raise gradio.Error("Images must be uploaded, URLs are not fetched.", print_exception=False)

    # A visitor may send a URL in place of an image, and gradio would fetch it.
    gradio.processing_utils.async_ssrf_protected_download = refuse
    return gradio


def launch(session: Session, host: str, port: int, root_path: str = "") -> Any:
    """Start the server in the background and return it. Raises `UserError` if it cannot listen there.

    `root_path` is the path, or the whole URL, under which a web server in front of it serves the page.
    """
    gr = import_gradio()
    page = build(gr, session).queue(max_size=_QUEUE_SIZE, default_concurrency_limit=1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()  # the server would print an error line of its own
        page.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            root_path=root_path,
            prevent_thread_lock=True,
            show_error=False,  # visitors only see the messages meant for them
            quiet=True,
            share=False,
            ssr_mode=False,
            footer_links=[],
            max_file_size=f"{_MAX_MEGABYTES}mb",
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
    except OSError as error:
        raise UserError(f"cannot listen on {url(host, port)}: choose another --host or --port") from error
    return page


def build(gr: Any, session: Session) -> Any:
    """Build the page."""
    first = next(iter(session.models))
    with gr.Blocks(title="AGGAN", analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2):
                image, model = _image(gr), _model(gr, session, first)
                to, view = _domain_and_view(gr, session, first)
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
                translate_button = gr.Button("Translate", variant="primary")
                all_button = _all_button(gr, session, first)
            with gr.Column(scale=3):
                results = _results(gr)
                gallery = gr.Gallery(label="All domains", columns=4, visible=False, format="png")
        inputs = [image, model, view, strength]
        translate = _with_messages(gr, partial(_translate, gr, session))
        translate_button.click(translate, [*inputs, to], results, concurrency_id="model", api_name="translate")
        strength.release(translate, [*inputs, to], results, concurrency_id="model", api_visibility="undocumented")
        translate_to_all = _with_messages(gr, partial(_translate_to_all, gr, session))
        all_button.click(translate_to_all, inputs, gallery, concurrency_id="model", api_name="translate_to_all")
        model.change(partial(_change_model, gr, session), model, [to, view, all_button], api_visibility="undocumented")
    return page


def _image(gr: Any) -> Any:
    image = gr.Image(label="Image", type="filepath", sources=SOURCES, height=360, buttons=["fullscreen"])
    # gradio would decode the file before `read_upload` has checked its format and size.
    image.preprocess = lambda payload: payload and payload.path
    return image


def _model(gr: Any, session: Session, first: str) -> Any:
    return gr.Dropdown(list(session.models), value=first, label="Model", visible=len(session.models) > 1)


def _results(gr: Any) -> list[Any]:
    slider = gr.ImageSlider(label="Before and after", interactive=False, max_height=560, buttons=BUTTONS)
    with gr.Row():
        mask = gr.Image(label="Attention: where", interactive=False, height=240, buttons=BUTTONS)
        content = gr.Image(label="Content: what", interactive=False, height=240, buttons=BUTTONS)
    return [slider, mask, content, gr.DownloadButton("Download at full size", interactive=False)]


def _translate(gr: Any, session: Session, path: str | None, *values: Any) -> tuple[Any, ...]:
    *choices, to = values
    result = session.translate(path, Choices(*choices), to)
    download = gr.DownloadButton(value=str(result.file), interactive=True)
    return (result.before, result.after), result.mask, result.content, download


def _translate_to_all(gr: Any, session: Session, path: str | None, *choices: Any) -> Any:
    return gr.Gallery(session.translate_to_all(path, Choices(*choices)), visible=True)


def _change_model(gr: Any, session: Session, name: str) -> tuple[Any, ...]:
    return *_domain_and_view(gr, session, name), _all_button(gr, session, name)


def _domain_and_view(gr: Any, session: Session, name: str) -> tuple[Any, Any]:
    domains, views = session.models[name].domains, list(session.models[name].views)
    return (
        gr.Dropdown(domains, value=domains[-1], label="Translate to", interactive=True),
        gr.Radio(views, value=views[0], label="Apply to", visible=len(views) > 1),
    )


def _all_button(gr: Any, session: Session, name: str) -> Any:
    return gr.Button("All domains", visible=len(session.models[name].domains) > 2)


def _with_messages(gr: Any, action: Callable[..., Any]) -> Callable[..., Any]:
    """The action with each `UserError` as a message on the page."""

    def act(*values: Any) -> Any:
        try:
            return action(*values)
        except UserError as error:
            # The server's log gets the cause in full, the visitor only the message.
            raise gr.Error(str(error), duration=None, print_exception=bool(error.__cause__)) from error.__cause__

    return act
