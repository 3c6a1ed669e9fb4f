"""`aggan report [NAME=]RUN... --out DIR`: the tables and the page of a benchmark, from existing runs."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError

INTERRUPTED = 130


@dataclass
class Report:
    """Compare trained runs: evaluate all on the same test images, and write tables and a page."""

    runs: Annotated[list[str], tyro.conf.Positional]
    """Run folders; NAME=FOLDER names a row, and runs of one name are seeds of one row."""
    out: Path
    """Folder for everything; the same command resumes there."""
    data: Path | None = None
    """Evaluate on the images below DATA/test instead of the first run's test images."""
    source: str | None = None
    """The domain to translate from; the first run's first domain by default."""
    to: tuple[str, ...] = ()
    """The domains to translate to, of which the main tables compare the first; the first run's second domain by
    default."""
    classifier: str | None = None
    """Networks that classify the translations, as in `aggan evaluate`; found from the data by default."""
    inception: Path | None = None
    """Weights of Inception v3, to measure distances between sets on its features instead of the classifier's."""
    lpips: Path | None = None
    """Weights of AlexNet (torchvision's file), to measure the perceptual distance LPIPS."""
    study: Path | None = None
    """study.json of a perceptual study, for the share of people fooled."""


def main(argv: list[str]) -> int:
    """Run the verb. Returns 1 if a run could not be evaluated, 130 after an interrupt."""
    args = tyro.cli(Report, args=argv, prog="aggan report")
    if not args.runs:
        raise UserError("nothing to compare: name the folders of runs")
    from aggan.comparison import compare, runner
    from aggan.comparison.rows import read_study
    from aggan.comparison.runs import read_runs

    if args.study:
        read_study(args.study)  # a mistake is reported before anything is evaluated
    runs = read_runs(args.runs)
    root = args.data or runs[0].experiment.data.root
    if root is None:
        raise UserError(f"{runs[0].folder} was trained on two folders without test images: name a --data ROOT")
    source = args.source or runs[0].card.domains[0]
    targets = args.to or tuple(domain for domain in runs[0].card.domains if domain != source)[:1]
    comparison = compare.RunComparison(runs, root, source, targets, args.classifier, args.inception, args.lpips)
    try:
        complete = compare.evaluate_runs(comparison, args.out, dict(os.environ), _print_status)
    except runner.Interrupted:
        print(f"Stopped; everything is saved. The same command resumes in {args.out}.")
        return INTERRUPTED
    page = compare.write(args.out, args.study)
    print(f"Report: {page.resolve().as_uri()}")
    return 0 if complete else 1


def _print_status(name: str, status: str) -> None:
    print(f"{name}: {status}", flush=True)
