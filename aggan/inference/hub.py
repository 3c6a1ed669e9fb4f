"""Models on the Hugging Face Hub: `model.safetensors`, `config.json`, and a card filled in from the run.

Only these three files are ever fetched, and none of them can hold code. Needs the extra `hub`.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan import __version__
from aggan.errors import UserError
from aggan.extras import needed
from aggan.inference.translator import Translator, folder_of, load
from aggan.io import write_whole
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.training.experiment import FILE, Experiment

README, RESULTS = "README.md", "results.json"
DOING = "the Hugging Face Hub"
FIGURES = {
    "judged": "judged as the target (share)",
    "change": "mean change (of 255)",
    "change where still": "mean change where nothing should change (of 255)",
    "identity": "identity kept (cosine)",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
}


def save_pretrained(model: str | Path, folder: Path, results: Path | None = None, license: str = "") -> None:
    """Write a run or model as a repository of its own, with a card; a README.md that is there stays.

    `results` is what `aggan evaluate` measured (RUN/results.json where there is one), `license` its name on the Hub.
    Raises `UserError`.
    """
    _write(folder, folder_of(model), card(model, folder.resolve().name, results, license))


def from_pretrained(name: str | Path, revision: str | None = None) -> Translator:
    """A translator from a folder, or from a repository OWNER/NAME on the Hub; raises `UserError`."""
    if (Path(name) / CONFIG).is_file():
        return load(name)
    hub = needed("huggingface_hub", "hub", DOING)
    with _in_one_sentence(f"cannot fetch {name}", hub):
        return load(hub.snapshot_download(str(name), revision=revision, allow_patterns=[WEIGHTS, CONFIG, README]))


def push_to_hub(
    model: str | Path, name: str, results: Path | None = None, license: str = "", private: bool = False
) -> str:
    """Upload a run or model to the repository OWNER/NAME as whoever is logged in, and give its address.

    Raises `UserError`.
    """
    hub = needed("huggingface_hub", "hub", DOING)
    with tempfile.TemporaryDirectory() as room, _in_one_sentence(f"cannot upload to {name}", hub):
        _write(Path(room), folder_of(model), card(model, name, results, license))
        api = hub.HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=name, folder_path=room, commit_message=f"aggan {__version__}"))


def card(model: str | Path, name: str, results: Path | None = None, license: str = "") -> str:
    """The model's card in Markdown; raises `UserError`."""
    source = folder_of(model)
    translator = load(source)
    run = next((run for run in (source, source.parent) if (run / FILE).is_file()), None)
    if results is None and run and (run / RESULTS).is_file():
        results = run / RESULTS
    measured = _read(results) if results else None
    room = Environment(
        loader=PackageLoader("aggan.inference", ""), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return room.get_template("card.md.j2").render(
        name=name,
        license=license,
        model=translator.card,
        about=translator.card.system.about,
        targets=translator.domains,
        recipe=Experiment.load(run).training if run else None,
        measured=measured,
        figures={key: FIGURES[key] for key in FIGURES if measured and key in measured["rows"]["translation"]},
    )


def _write(folder: Path, source: Path, text: str) -> None:
    for name in (WEIGHTS, CONFIG):
        write_whole(folder / name, partial(shutil.copyfile, source / name))
    if not (folder / README).exists():
        write_whole(folder / README, lambda path: path.write_text(text, encoding="utf-8"))


def _read(results: Path) -> dict[str, Any]:
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
        found["rows"]["translation"]["intervals"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as why:
        raise UserError(f"{results}: not what aggan evaluate writes: {why!r}") from why
    return found


@contextmanager
def _in_one_sentence(what: str, hub: Any) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as why:
        raise UserError(f"{what}: {' '.join(str(why).split())[:300]}") from why
