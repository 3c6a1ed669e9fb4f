"""The web page: drop a picture or use the camera, choose, and see what changed. Needs the extra `demo`.

Nothing is asked of the world outside: no fonts, no scripts, no statistics, and no address that a visitor names.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from aggan.demo.session import Visits, Wish
from aggan.errors import UserError
from aggan.extras import needed

_QUEUE, _MEGABYTES = 20, 40
_FORGET = (600, 3600)
"""Seconds between two rounds of tidying, and the age at which uploads go."""
SOURCES, BUTTONS = ["upload", "webcam", "clipboard"], ["download", "fullscreen"]
"""Without gradio's button that shares pictures on a site of its makers."""
_INTRODUCTION = "# AGGAN\nWhere a picture would change, what would come there, and the result."


def gradio() -> Any:
    """The library, told to keep to itself; raises `UserError` where the extra is not installed."""
    # Before its import: it would tell its makers about every start.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    library = needed("gradio", "demo", "the web page")

    async def refuse(*_: Any, **__: Any) -> str:
        raise library.Error("Pictures are uploaded, not fetched from elsewhere.", print_exception=False)

    # A visitor may send an address in place of a picture, and gradio would fetch it.
    library.processing_utils.async_ssrf_protected_download = refuse
    return library


def launch(visits: Visits, host: str, port: int) -> Any:
    """Start the server in the background and give it; raises `UserError` where it cannot listen."""
    gr = gradio()
    page = build(gr, visits).queue(max_size=_QUEUE, default_concurrency_limit=1)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            show_error=False,  # visitors see what is meant for them, and nothing of other errors
            quiet=True,
            share=False,
            ssr_mode=False,
            footer_links=[],
            max_file_size=f"{_MEGABYTES}mb",
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
    except OSError as why:
        raise UserError(f"cannot listen on {host}:{port}: choose another --host or --port") from why
    return page


def build(gr: Any, visits: Visits) -> Any:
    """The page."""
    first = next(iter(visits.models))
    with gr.Blocks(title="AGGAN", analytics_enabled=False, delete_cache=_FORGET) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2):
                picture, model = _picture(gr), _model(gr, visits, first)
                to, look = _choices(gr, visits, first)
                strength = gr.Slider(0, 1, 1, step=0.05, label="Strength")
                run, all_of_them = gr.Button("Translate", variant="primary"), _all_button(gr, visits, first)
            with gr.Column(scale=3):
                shown = _results(gr)
                gallery = gr.Gallery(label="All at once", columns=4, visible=False, format="png")
        wish = [picture, model, look, strength]
        for event in (run.click, strength.release):
            event(_told(gr, partial(_translate, gr, visits)), [*wish, to], shown, concurrency_id="model")
        all_of_them.click(_told(gr, partial(_everything, gr, visits)), wish, gallery, concurrency_id="model")
        model.change(partial(_other_model, gr, visits), model, [to, look, all_of_them])
    return page


def _picture(gr: Any) -> Any:
    picture = gr.Image(label="Picture", type="filepath", sources=SOURCES, height=360, buttons=["fullscreen"])
    # gradio would open the file before anybody has looked at what it is.
    picture.preprocess = lambda payload: payload and payload.path
    return picture


def _model(gr: Any, visits: Visits, first: str) -> Any:
    return gr.Dropdown(list(visits.models), value=first, label="Model", visible=len(visits.models) > 1)


def _results(gr: Any) -> list[Any]:
    slider = gr.ImageSlider(label="Before and after", interactive=False, max_height=560, buttons=BUTTONS)
    with gr.Row():
        mask = gr.Image(label="Attention: where", interactive=False, height=240, buttons=BUTTONS)
        content = gr.Image(label="Content: what", interactive=False, height=240, buttons=BUTTONS)
    return [slider, mask, content, gr.DownloadButton("Download at full size", interactive=False)]


def _translate(gr: Any, visits: Visits, path: str | None, *asked: Any) -> tuple[Any, ...]:
    *wish, to = asked
    shown = visits.translate(path, Wish(*wish), to)
    return (
        (shown.before, shown.after),
        shown.mask,
        shown.content,
        gr.DownloadButton(value=str(shown.file), interactive=True),
    )


def _everything(gr: Any, visits: Visits, path: str | None, *wish: Any) -> Any:
    return gr.Gallery(visits.everything(path, Wish(*wish)), visible=True)


def _other_model(gr: Any, visits: Visits, name: str) -> tuple[Any, ...]:
    return *_choices(gr, visits, name), _all_button(gr, visits, name)


def _choices(gr: Any, visits: Visits, name: str) -> tuple[Any, Any]:
    domains, looks = visits.models[name].domains, list(visits.models[name].looks)
    return (
        gr.Dropdown(domains, value=domains[-1], label="Show as", interactive=True),
        gr.Radio(looks, value=looks[0], label="Look at", visible=len(looks) > 1),
    )


def _all_button(gr: Any, visits: Visits, name: str) -> Any:
    return gr.Button("All at once", visible=len(visits.models[name].domains) > 2)


def _told(gr: Any, action: Callable[..., Any]) -> Callable[..., Any]:
    """The action, whose `UserError` becomes a message on the page."""

    def act(*given: Any) -> Any:
        try:
            return action(*given)
        except UserError as why:
            # What went wrong on this side is told on this side, in full.
            raise gr.Error(str(why), duration=None, print_exception=bool(why.__cause__)) from why.__cause__

    return act
