"""Test whether training in bf16 gives the same results as in fp32: the quickstart's recipe, three seeds each.

`python perf/precision.py --runs RUNS --out precision.json` trains AGGAN six times on one thread, or continues if it was
interrupted. This takes 45 to 90 minutes of one core. With `--precisions` two processes can share the work.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from aggan.metric_table import TRANSLATION, migrate_results
from aggan.training.config import load_recipe

PRECISIONS = ("32-true", "bf16-mixed")
SEEDS = (0, 1, 2)
EPOCHS = 10
METRICS = ("classified", "background_change", "identity", "psnr", "kernel_distance")
STUDENT_T = 4.303
"""Student's t for 95 % and three values."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("precision-runs"), help="folder of the trainings")
    parser.add_argument("--out", type=Path, default=Path("precision.json"))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    args = parser.parse_args()
    for precision in args.precisions:
        train(args.runs / precision, precision)
    scores = {precision: read_scores(args.runs / precision) for precision in args.precisions}
    results: dict[str, Any] = {"epochs": EPOCHS, "seeds": SEEDS, "scores": scores}
    if len(scores) == len(PRECISIONS):
        fp32, bf16 = (scores[precision] for precision in PRECISIONS)
        results["compared"] = {metric: compare(fp32[metric], bf16[metric]) for metric in METRICS}
    print(json.dumps(results, indent=2))
    args.out.write_text(json.dumps(results, indent=2) + "\n")


def train(folder: Path, precision: str) -> None:
    recipe = load_recipe("faces64")
    recipe["training"] |= {"precision": precision, "decay_after": EPOCHS // 2}
    plan = {"methods": ["aggan"], "seeds": list(SEEDS), "epochs": EPOCHS, "threads": 1}
    folder.mkdir(parents=True, exist_ok=True)
    files = {"recipe.yaml": recipe, "plan.yaml": plan | {"recipe": str(folder.absolute() / "recipe.yaml")}}
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    argv = ["benchmark", str(folder / "plan.yaml"), "--out", str(folder / "out"), "--jobs", "1"]
    subprocess.run([sys.executable, "-m", "aggan", *argv], check=True)


def read_scores(folder: Path) -> dict[str, list[float]]:
    """For each metric its means, one for each seed."""
    files = [folder / "out/faces/aggan" / f"seed-{seed}" / "happy/results.json" for seed in SEEDS]
    rows = [migrate_results(json.loads(file.read_text()))["rows"][TRANSLATION] for file in files]
    return {metric: [row[metric] for row in rows] for metric in METRICS}


def compare(fp32: list[float], bf16: list[float]) -> dict[str, Any]:
    """The mean of fp32's seeds with its 95 % interval, and whether the mean of bf16's seeds lies in it."""
    mean, half_width = statistics.mean(fp32), STUDENT_T * statistics.stdev(fp32) / len(fp32) ** 0.5
    bf16_mean = statistics.mean(bf16)
    return {"fp32": mean, "half width": half_width, "bf16": bf16_mean, "within": abs(bf16_mean - mean) <= half_width}


if __name__ == "__main__":
    main()
