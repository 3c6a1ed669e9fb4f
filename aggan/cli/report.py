"""`aggan report [NAME=]RUN... --out DIR`: the tables and the page of a benchmark, from existing runs."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from aggan.errors import UserError
from aggan.io import normalized

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
    from aggan.evaluation.test_set import find_test_folders

    if args.study:
        read_study(args.study)  # a mistake is reported before anything is evaluated
    runs = read_runs(args.runs)
    root = args.data or runs[0].experiment.data.root
    if root is None:
        raise UserError(f"{runs[0].folder} was trained on folders without test images: name a --data ROOT")
    domains = runs[0].card.domains
    spellings = {normalized(domain): domain for domain in domains}
    source = spellings.get(normalized(args.source), args.source) if args.source else domains[0]
    targets = tuple(spellings.get(normalized(to), to) for to in args.to)
    targets = targets or tuple(domain for domain in domains if domain != source)[:1]
    try:
        folders = find_test_folders(root, (source, *targets))
    except UserError as error:
        whose = "" if args.data else f"{runs[0].folder}: its test images are not found: "
        raise UserError(f"{whose}{error}; name the folder of a data set with --data ROOT") from error
    networks = args.classifier, args.inception, args.lpips
    comparison = compare.RunComparison(runs, root, folders, source, targets, *networks)
    try:
        complete = compare.evaluate_runs(comparison, args.out, dict(os.environ), _print_status, _print, _warn)
    except runner.Interrupted:
        print(f"Stopped; everything is saved. The same command resumes in {args.out}.")
        return INTERRUPTED
    page = compare.write(args.out, _warn, args.study)
    print(f"Report: {page.resolve().as_uri()}")
    return 0 if complete else 1


def _print(message: str) -> None:
    print(message, flush=True)


def _warn(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _print_status(name: str, status: str) -> None:
    _print(f"{name}: {status}")
