"""How masks and translations change while a recipe trains: `python perf/mask_curves.py DATA RECIPE... --out DIR`.

DATA is the folder of `aggan data faces`. Each recipe trains AGGAN on one thread, and every kept model translates the
test people. DIR/curves.json has the figures, DIR/curves.png the curves, DIR/masks.png the masks of some people. The
same command resumes.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Pillow

PEOPLE, SHEETS = 4, 8
"""People on the sheet of masks, and models at most."""
PANELS = {
    "background_change": "background change, of 255",
    "mask_on_change": "mask on change",
    "psnr": "PSNR, dB",
    "classified": "classified as happy",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("recipes", nargs="+", metavar="RECIPE", help="a recipe that ships, or a YAML file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15, help="of processor time for each recipe")
    parser.add_argument("--every", type=int, default=500, help="steps between the models")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    curves = {}
    for recipe in args.recipes:
        run = args.out / Path(recipe).stem
        train(recipe, run, args)
        curves[run.name] = [evaluate(model, args.data) for model in models(run)]
        (args.out / "curves.json").write_text(json.dumps(curves, indent=1))
    draw_curves(curves, args.out / "curves.png")
    draw_masks([args.out / Path(recipe).stem for recipe in args.recipes], args.out / "masks.png")


def aggan(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "aggan", *map(str, words)], check=True)


def train(recipe: str, run: Path, args: argparse.Namespace) -> None:
    if (run / "experiment.json").exists():
        aggan("train", "--resume", run)
        return
    length = ("--training.processor-time", "--training.minutes", args.minutes, "--training.threads", 1)
    kept = ("--training.save-every", args.every, "--training.keep", 1000, "--training.seed", args.seed)
    aggan("train", "aggan", "--recipe", recipe, "--data.root", args.data, "--out", run, *length, *kept)


def models(run: Path) -> list[Path]:
    """The kept models of a run, in order."""
    return sorted((run / "models").iterdir(), key=steps)


def steps(model: Path) -> int:
    return int(model.name.removeprefix("step-"))


def evaluate(model: Path, data: Path) -> dict[str, float]:
    """What `aggan evaluate` says of the translations of a model, and its number of steps."""
    results = model / "results.json"
    if not results.exists():
        people = data / "test"
        domains = ("--inputs", people / "neutral", "--ground-truth", people / "happy", "--to", "happy")
        aggan("evaluate", model, *domains, "--save-images", model / "images", "--out", results)
    figures = json.loads(results.read_text())["rows"]["translation"]
    return {"steps": float(steps(model))} | {key: figures[key] for key in (*PANELS, "mask_mean", "kernel_distance")}


def draw_curves(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, (key, label) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for recipe, points in curves.items():
            axes.plot([point["steps"] for point in points], [point[key] for point in points], label=recipe)
        axes.set(xlabel="step", title=label, ylim=(0, None) if key == "background_change" else None)
        axes.grid(color="#dddddd", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)


def draw_masks(runs: list[Path], path: Path) -> None:
    """Time from left to right, people from top to bottom; the recipes below each other."""
    rows = [row for run in runs for row in mask_rows(models(run))]
    Pillow.fromarray(np.concatenate(rows)).save(path)


def mask_rows(kept: list[Path]) -> Iterator[np.ndarray]:
    """For each person the masks by models at even distances."""
    chosen = [kept[i] for i in np.unique(np.linspace(0, len(kept) - 1, SHEETS).round().astype(int))]
    names = [file.name for file in sorted((chosen[0] / "images").glob("*.mask.png"))[:PEOPLE]]
    for name in names:
        yield np.concatenate([np.asarray(Pillow.open(model / "images" / name).convert("L")) for model in chosen], 1)


if __name__ == "__main__":
    main()
