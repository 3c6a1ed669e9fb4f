"""Curves of a run as SVG text."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

INK, GRID = "#333333", "#dddddd"


def curves(journal: Sequence[dict[str, Any]], names: Sequence[str], label: str, log: bool = False) -> str:
    """One line a name over the steps; lines of the journal that lack a name are passed over."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for name in names:
        points = [(line["step"], line[name]) for line in journal if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    if log:
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel=label)
    axes.grid(color=GRID, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    if axes.lines:
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing)
    return text.getvalue()[text.getvalue().index("<svg") :]
