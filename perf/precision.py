"""Whether bf16 learns what fp32 learns: the quickstart's recipe, three seeds each, measured on its test people.

`python benchmarks/precision.py --runs RUNS --out precision.json` trains AGGAN six times on one thread, or goes on with
it: three quarters of an hour to an hour and a half of one core. `--precisions` does some of it, so that two processes
can share the work.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from aggan.training.config import named

PRECISIONS = ("32-true", "bf16-mixed")
SEEDS = (0, 1, 2)
EPOCHS = 10
MEASURES = ("judged", "change where still", "identity", "psnr", "kernel distance")
STUDENT = 4.303
"""Student's t for 95 % and three values."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=Path, default=Path("precision-runs"))
    options.add_argument("--out", type=Path, default=Path("precision.json"))
    options.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    asked = options.parse_args()
    for precision in asked.precisions:
        _train(asked.runs / precision, precision)
    scores = {precision: _scores(asked.runs / precision) for precision in asked.precisions}
    found = {"epochs": EPOCHS, "seeds": SEEDS, "scores": scores}
    if len(scores) == len(PRECISIONS):
        found["compared"] = {
            name: _compared(*(scores[precision][name] for precision in PRECISIONS)) for name in MEASURES
        }
    print(json.dumps(found, indent=2))
    asked.out.write_text(json.dumps(found, indent=2) + "\n")


def _train(folder: Path, precision: str) -> None:
    recipe = named("faces64")
    recipe["training"] |= {"precision": precision, "decay_after": EPOCHS // 2}
    plan = {"systems": ["aggan"], "seeds": list(SEEDS), "epochs": EPOCHS, "threads": 1}
    folder.mkdir(parents=True, exist_ok=True)
    files = {"recipe.yaml": recipe, "plan.yaml": plan | {"recipe": str(folder.absolute() / "recipe.yaml")}}
    for name, settings in files.items():
        (folder / name).write_text(yaml.safe_dump(settings))
    words = ["benchmark", str(folder / "plan.yaml"), "--out", str(folder / "out"), "--jobs", "1"]
    subprocess.run([sys.executable, "-m", "aggan", *words], check=True)


def _scores(folder: Path) -> dict[str, list[float]]:
    """Each measure's means, seed by seed."""
    files = [folder / "out/faces/aggan" / f"seed-{seed}" / "happy/results.json" for seed in SEEDS]
    rows = [json.loads(file.read_text())["rows"]["translation"] for file in files]
    return {name: [row[name] for row in rows] for name in MEASURES}


def _compared(fp32: list[float], bf16: list[float]) -> dict[str, Any]:
    """The mean of fp32's seeds with its interval, and whether the mean of bf16's seeds lies in it."""
    middle, half = statistics.mean(fp32), STUDENT * statistics.stdev(fp32) / len(fp32) ** 0.5
    other = statistics.mean(bf16)
    return {"fp32": middle, "half width": half, "bf16": other, "within": abs(other - middle) <= half}


if __name__ == "__main__":
    main()
