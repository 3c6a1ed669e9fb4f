"""One self-contained page about one run: scores, people, curves, settings. Reads files only.

FOLDER/results.json       what `aggan evaluate` wrote
FOLDER/people/            NAME.input.png, .mask.png, .content.png, .output.png, .answer.png
FOLDER/run/               the run
"""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aggan.comparison.curves import curves
from aggan.comparison.figures import embedded
from aggan.training.log import NOT_LOSSES

PARTS = {
    "input": "input",
    "mask": "attention mask",
    "content": "content",
    "output": "translation",
    "answer": "true answer",
}
MEASURES = {
    "identity": ("identity kept", "cosine of the identity judge's vectors of input and output", "{:.2f}"),
    "judged": ("judged {expression}", "share of the pictures in which the judge sees that expression", "{:.1%}"),
    "change where still": (
        "change where nothing should change",
        "mean difference from the input, of 255, where the true answer equals it",
        "{:.2f}",
    ),
    "psnr": ("PSNR", "dB against the true answer, mean over the pictures", "{:.2f}"),
    "mse": ("MSE", "against the true answer on 0-255, mean over the pictures", "{:.1f}"),
    "ssim": ("SSIM", "structural similarity to the true answer", "{:.4f}"),
    "change": ("change", "mean difference from the input, of 255, over the whole picture", "{:.2f}"),
    "mask where changed": ("mask where changed", "share of the mask's energy where the true answer differs", "{:.1%}"),
    "mask mean": ("mask mean", "0 keeps the input, 1 replaces it", "{:.3f}"),
}


def write(folder: Path, journal: list[dict[str, Any]], settings: dict[str, Any]) -> Path:
    """Write `FOLDER/report.html` and give its path."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    names = list(dict.fromkeys(key for line in journal for key in line if key not in NOT_LOSSES))
    masks = [name for name in names if name.endswith(("mean", "spread"))]
    losses = [name for name in names if name not in masks]
    environment = Environment(loader=PackageLoader("aggan.comparison", "."), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("report.html.j2").render(
        to=results["to"],
        rows=results["rows"],
        measures=_table(results),
        steps=results["steps"],
        minutes=next((line["seconds"] / 60 for line in reversed(journal) if "seconds" in line), 0.0),
        parts=PARTS.values(),
        people=_people(folder / "people"),
        sheets=[(path.stem, embedded(path)) for path in _spread(sorted((folder / "run" / "samples").glob("*.png")))],
        losses=curves(journal, losses, "weighted loss", log=True),
        masks=curves(journal, masks, "mask") if masks else "",
        warnings=[line["warning"] for line in journal if "warning" in line],
        settings=json.dumps(settings, indent=2),
    )
    target = folder / "report.html"
    partial = target.with_suffix(".tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)
    return target


def _people(folder: Path) -> list[list[str]]:
    names = sorted({path.name.split(".")[0] for path in folder.glob("*.input.png")})
    return [[embedded(folder / f"{name}.{part}.png") for part in PARTS] for name in names]


def _table(results: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    rows = results["rows"].values()
    return [
        (name.format(expression=results["expression"]), meaning, [_shown(row.get(key), form) for row in rows])
        for key, (name, meaning, form) in MEASURES.items()
        if any(row.get(key) is not None for row in rows)
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _spread(paths: list[Path], most: int = 4) -> list[Path]:
    """At most so many, evenly spread, the last among them."""
    if len(paths) <= most:
        return paths
    return [paths[round(index * (len(paths) - 1) / (most - 1))] for index in range(most)]
