"""Curves of a journal as SVG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

INK, GRID = "#333333", "#dddddd"
Curves = Mapping[str, Sequence[tuple[int, float]]]
"""Points (step, value) by name."""


def plot_losses(journal: Sequence[dict[str, Any]]) -> str:
    """Every weighted loss term over the steps, on a logarithmic axis; empty if the journal has none."""
    losses: dict[str, list[tuple[int, float]]] = {}
    for line in journal:
        for name, value in line.get("losses", {}).items():
            losses.setdefault(name, []).append((line["step"], value))
    return plot(losses, "weighted loss", log=True) if losses else ""


def plot_masks(journal: Sequence[dict[str, Any]]) -> str:
    """Mean and std of every attention mask over the steps; empty if the journal has none."""
    masks: dict[str, list[tuple[int, float]]] = {}
    for line in journal:
        for name, statistics in line.get("masks", {}).items():
            for statistic, value in statistics.items():
                masks.setdefault(f"{name} {statistic}", []).append((line["step"], value))
    return plot(masks, "mask") if masks else ""


def plot(curves: Curves, label: str, log: bool = False) -> str:
    """Curves over the steps, with `label` at the vertical axis."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    if log and any(value > 0 for points in curves.values() for _, value in points):
        axes.set_yscale("log")
    axes.set(xlabel="step", ylabel=label)
    axes.grid(color=GRID, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    if curves:
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue()[text.getvalue().index("<svg") :]
