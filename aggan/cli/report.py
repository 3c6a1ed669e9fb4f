"""`aggan report [NAME=]RUN... --out DIR`: the benchmark's tables and page from runs that exist."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError


@dataclass
class Report:
    """Compare trained runs: translate the same held-out people, measure, and write tables and a page."""

    runs: Annotated[list[str], tyro.conf.Positional]
    """Run folders; NAME=FOLDER names a row, and runs of one name are seeds of it."""
    out: Path
    """Folder for everything; the same command goes on there."""
    data: Path | None = None
    """Test on the pictures below DATA/test, instead of those of the first run."""
    source: str | None = None
    """The domain to translate from; the first run's first domain if left out."""
    to: tuple[str, ...] = ()
    """The domains to translate to; tables compare the first."""
    inception: Path | None = None
    """Inception v3's weights, to measure the distances between sets by."""
    lpips: Path | None = None
    """AlexNet's weights, for the perceptual distance LPIPS."""
    study: Path | None = None
    """study.json of a people study, for the share of people fooled."""


def main(arguments: list[str]) -> int:
    """Run the verb; 1 where a run could not be measured, 130 after an interrupt."""
    asked = tyro.cli(Report, args=arguments, prog="aggan report")
    if not asked.runs:
        raise UserError("nothing to compare: name the folders of runs")
    from aggan.comparison import compare, runner
    from aggan.comparison.rows import read_study
    from aggan.comparison.runs import read_runs

    if asked.study:
        read_study(asked.study)  # now, not when everything has been measured
    runs = read_runs(asked.runs)
    root = asked.data or runs[0].experiment.data.root
    if root is None:
        raise UserError(f"{runs[0].folder} learned from two folders, so there are no test pictures: name a --data ROOT")
    source = asked.source or runs[0].card.domains[0]
    targets = asked.to or tuple(domain for domain in runs[0].card.domains if domain != source)[:1]
    task = compare.Task(runs, root, source, targets, asked.inception, asked.lpips)
    try:
        whole = compare.measure(task, asked.out, dict(os.environ), lambda *what: print(": ".join(what), flush=True))
    except runner.Stopped:
        print(f"Stopped; everything is saved. The same command goes on in {asked.out}.")
        return 130
    report = compare.write(asked.out, asked.study)
    print(f"Report: {report.resolve().as_uri()}")
    return 0 if whole else 1
