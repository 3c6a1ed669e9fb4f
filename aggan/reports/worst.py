"""The honest part of a comparison: the worst translations of each system, by each measure."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from aggan.reports.embedding import embedded_small
from aggan.reports.sheets import Sheet, Shown, Strip

WORST = 3
DOWN = {"change where still": -1, "psnr": 1, "ssim": 1, "identity": 1, "cycle error": -1}
"""Measures of single pictures: 1 where the smallest values are the worst, -1 where the largest are."""


def worst(shown: Shown) -> Sheet:
    """Of the first seed of each system."""
    to = shown.targets[0]
    told = {row.name: _each(shown.out / row.folders[0] / to / "results.json") for row in shown.finished}
    measures = [name for name in DOWN if any(name in each for each in told.values())]
    strips = []
    for row in shown.finished:
        cells = [_worst_of(shown, shown.made(row, to), told[row.name], name) for name in measures]
        strips.append(Strip(row.name, *(tuple(part) for part in zip(*cells, strict=True))))
    about = f"The {WORST} worst translations of each system by each measure, below their inputs."
    return Sheet("The worst", about, tuple(strips), tuple(measures))


def _each(results: Path) -> dict[str, list[Any]]:
    return json.loads(results.read_text(encoding="utf-8"))["each"]


def _worst_of(shown: Shown, made: Path, each: dict[str, list[Any]], measure: str) -> tuple[str, str]:
    """A picture of inputs above translations, and the values."""
    pairs = zip(each.get(measure, []), each["name"], strict=False)
    known = [(value, name) for value, name in pairs if value is not None]
    chosen = sorted(known, key=lambda pair: DOWN[measure] * pair[0])[:WORST]
    if not chosen:
        return "", "-"
    columns = [(shown.test / shown.source / f"{name}.png", made / f"{name}.png") for _, name in chosen]
    return embedded_small(_mosaic(columns)), ", ".join(f"{value:.3g}" for value, _ in chosen)


def _mosaic(columns: Sequence[Sequence[Path]]) -> Pillow.Image:
    pictures = [[_read(path) for path in column] for column in columns]
    width, height = pictures[0][0].size
    whole = Pillow.new("RGB", (width * len(pictures), height * len(pictures[0])))
    for x, column in enumerate(pictures):
        for y, picture in enumerate(column):
            whole.paste(picture, (x * width, y * height))
    return whole


def _read(path: Path) -> Pillow.Image:
    with Pillow.open(path) as file:
        return file.convert("RGB")
