"""`aggan quickstart`: train, translate and evaluate on the faces that ship."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from aggan.cli.evaluate import results_table
from aggan.errors import UserError
from aggan.io import require_output_folder

SIZE, SOURCE, TARGET, SHOWN = 64, "neutral", "happy", 8
INTERRUPTED = 130
OVERHEAD = 0.5
"""Minutes reserved for everything but training."""


@dataclass
class Quickstart:
    """Train on rendered faces, translate and evaluate test people, and write report.html."""

    out: Path = Path("aggan-quickstart")
    """Folder for everything."""
    minutes: float = 15
    """Time for everything, in minutes."""
    method: str = "aggan"
    """Method to train; aggan-no-ad-ag is the same without attention."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Quickstart, args=argv, prog="aggan quickstart")
    from aggan.data.sample_faces import unpack
    from aggan.inference.alignment import measure_alignment
    from aggan.training.experiment import FILE, Experiment
    from aggan.training.run import train

    start = Experiment.of(args.method, "faces64")
    faces, run = args.out / "faces", args.out / "run"
    experiment = start.model_copy(
        update={
            "data": start.data.model_copy(update={"root": faces.absolute()}),
            "training": start.training.model_copy(update={"minutes": max(0.1, args.minutes - OVERHEAD)}),
        }
    )
    resume = (run / FILE).exists()
    if resume and Experiment.load(run).method != experiment.method:
        raise UserError(f"{args.out} holds a quickstart of another method: choose another --out")
    require_output_folder(args.out, "--out")
    console = Console()
    print(f"Unpacking the faces to {faces}")
    unpack(faces, SIZE)
    if not train(experiment, run, console, resume=resume, find_alignment=measure_alignment):
        return INTERRUPTED
    _evaluate(args.out, run, faces / "test", console)
    return 0


def _evaluate(out: Path, run: Path, test: Path, console: Console) -> None:
    from aggan.comparison import run_report
    from aggan.evaluation.classifiers import load_rendered_face_models
    from aggan.evaluation.evaluate import evaluate, save_results
    from aggan.evaluation.test_set import TestSet
    from aggan.inference.translator import load
    from aggan.training import log
    from aggan.training.experiment import Experiment

    test_set = TestSet(TARGET, test / SOURCE, test / TARGET)
    results = evaluate(load(run), test_set, load_rendered_face_models(), print, out / "images")
    save_results(out / "results.json", results)
    _show_people(results["each"]["name"][:SHOWN], test, out / "images", out / "people")
    report = run_report.write(out, log.read(run), Experiment.load(run).model_dump(mode="json"))
    console.print(results_table(results))
    print(f"Report: {report.resolve().as_uri()}")


def _show_people(names: list[str], test: Path, images: Path, people: Path) -> None:
    """Collect the images of some people for the report."""
    people.mkdir(parents=True, exist_ok=True)
    for name in names:
        parts = {
            "input": test / SOURCE / f"{name}.png",
            "mask": images / f"{name}.mask.png",
            "content": images / f"{name}.content.png",
            "output": images / f"{name}.png",
            "ground_truth": test / TARGET / f"{name}.png",
        }
        for part, file in parts.items():
            if file.exists():
                shutil.copyfile(file, people / f"{name}.{part}.png")
