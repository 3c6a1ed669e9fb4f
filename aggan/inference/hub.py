"""Models on the Hugging Face Hub: `model.safetensors`, `config.json` and a model card. Needs the extra `hub`.

Only these three files are downloaded, and none of them can hold code.
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

from aggan.errors import UserError
from aggan.extras import require_module
from aggan.inference.translator import Translator, load, model_folder
from aggan.io import write_atomic, write_text_atomic
from aggan.methods.pretrained import CONFIG, WEIGHTS
from aggan.metric_table import METRICS, ROWS, TRANSLATION, Metric, migrate_results
from aggan.training.experiment import FILE, Experiment
from aggan.version import __version__

README, RESULTS = "README.md", "results.json"
PURPOSE = "the Hugging Face Hub"
CARD_METRICS = ("classified", "change", "background_change", "identity", "psnr", "ssim")
"""The metrics on a model card, if they were measured."""


def save_pretrained(model: str | Path, folder: Path, results: Path | None = None, license: str = "") -> None:
    """Write a run or a model as a folder that the Hub takes, with a model card unless there is a README.md.

    `results` is a file that `aggan evaluate` wrote, by default RUN/results.json if it exists. `license` is the Hub's
    name of a licence. Raises `UserError` if there is no such model, or a file cannot be read or written.
    """
    _write(folder, model_folder(model), card(model, folder.resolve().name, results, license))


def from_pretrained(name: str | Path, revision: str | None = None) -> Translator:
    """Load a model from a folder, or from a repository OWNER/NAME on the Hub.

    Raises `UserError` if it cannot be downloaded or read.
    """
    if (Path(name) / CONFIG).is_file():
        return load(name)
    hub = require_module("huggingface_hub", "hub", PURPOSE)
    with _report_errors(f"cannot download {name}"):
        folder = hub.snapshot_download(str(name), revision=revision, allow_patterns=[WEIGHTS, CONFIG, README])
    return load(folder)


def push_to_hub(
    model: str | Path, name: str, results: Path | None = None, license: str = "", private: bool = False
) -> str:
    """Upload a run or a model to the repository OWNER/NAME, and return its URL.

    The account is the one that is logged in. `results` and `license` are those of `save_pretrained`. Raises
    `UserError` if there is no such model, or the upload fails.
    """
    hub = require_module("huggingface_hub", "hub", PURPOSE)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), model_folder(model), card(model, name, results, license))
        with _report_errors(f"cannot upload to {name}"):
            api = hub.HfApi()
            api.create_repo(name, private=private, exist_ok=True)
            return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message=f"aggan {__version__}"))


def card(model: str | Path, name: str, results: Path | None = None, license: str = "") -> str:
    """The model card in Markdown. The arguments and errors are those of `save_pretrained`."""
    folder = model_folder(model)
    translator = load(folder)
    run = next((run for run in (folder, folder.parent) if (run / FILE).is_file()), None)
    if results is None and run and (run / RESULTS).is_file():
        results = run / RESULTS
    measured = _read_results(results) if results else None
    environment = Environment(
        loader=PackageLoader("aggan.inference", ""), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("card.md.j2").render(
        name=name,
        license=license,
        model=translator.card,
        about=translator.card.method.about,
        needs=translator.card.method.needs.value,
        targets=translator.domains,
        training=Experiment.load(run).training if run else None,
        measured=measured,
        columns=[ROWS[key] for key in measured["rows"]] if measured else [],
        metrics=_metric_rows(measured) if measured else {},
    )


def _metric_rows(results: dict[str, Any]) -> dict[str, list[str]]:
    """The cells of each metric, by its heading."""
    rows, target = results["rows"], results.get("expression") or results["to"]
    metrics = [METRICS[key] for key in CARD_METRICS if key in rows[TRANSLATION]]
    return {metric.heading(target, features=""): [_cell(metric, row) for row in rows.values()] for metric in metrics}


def _cell(metric: Metric, row: dict[str, Any]) -> str:
    value = metric.text(row.get(metric.key))
    if metric.key not in row["intervals"]:
        return value
    low, high = row["intervals"][metric.key]
    return f"{value} ({metric.text(low)} to {metric.text(high)})"


def _write(folder: Path, source: Path, text: str) -> None:
    for name in (WEIGHTS, CONFIG):
        write_atomic(folder / name, partial(shutil.copyfile, source / name))
    if not (folder / README).exists():
        write_text_atomic(folder / README, text)


def _read_results(file: Path) -> dict[str, Any]:
    try:
        results = migrate_results(json.loads(file.read_text(encoding="utf-8")))
        results["rows"][TRANSLATION]["intervals"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not written by aggan evaluate: {error!r}") from error
    return results


@contextmanager
def _report_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # those of the Hub, of HTTP and of the system have no common class
        raise UserError(f"{what}: {' '.join(str(error).split())[:300]}") from error
