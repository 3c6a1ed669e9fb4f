"""`aggan quickstart`: the whole way on the faces that ship."""

import json
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from aggan.cli import settings
from aggan.cli.evaluate import rendered
from aggan.data.sample_faces import unpack
from aggan.errors import UserError

SIZE, TARGET, SHOWN = 64, "happy", 8
OVERHEAD = 0.5
"""Minutes kept for everything but training."""


@dataclass
class Quickstart:
    """Train on rendered faces, translate held-out people, measure, and write report.html."""

    out: Path = Path("aggan-quickstart")
    """Folder for everything."""
    minutes: float = 15
    """Bound on the whole."""
    system: str = "aggan"
    """Which system to train; aggan-no-ad-ag is the same without attention."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Quickstart, args=arguments, prog="aggan quickstart")
    start = settings.of(asked.system, "faces64")
    faces, run = asked.out / "faces", asked.out / "run"
    experiment = start.model_copy(
        update={
            "data": start.data.model_copy(update={"root": faces.absolute()}),
            "training": start.training.model_copy(update={"minutes": max(0.1, asked.minutes - OVERHEAD)}),
        }
    )
    from aggan.training.experiment import FILE, Experiment
    from aggan.training.run import train

    resume = (run / FILE).exists()
    if resume and Experiment.load(run).system != experiment.system:
        raise UserError(f"{asked.out} holds a quickstart of another system: choose another --out")
    console = Console()
    print(f"Unpacking the faces to {faces}")
    unpack(faces, SIZE)
    if not train(experiment, run, console, resume=resume):
        return 130
    _measure(asked.out, run, faces / "test", console)
    return 0


def _measure(out: Path, run: Path, test: Path, console: Console) -> None:
    from aggan.comparison import run_report
    from aggan.evaluation.classifiers import load_judges
    from aggan.evaluation.evaluate import evaluate, save_results
    from aggan.evaluation.test_set import HeldOut
    from aggan.inference.translator import load
    from aggan.training import log
    from aggan.training.experiment import Experiment

    translator = load(run)
    held_out = HeldOut(TARGET, test / "neutral", test / TARGET, expression=TARGET)
    results = evaluate(translator, held_out, load_judges(), print)
    save_results(out / "results.json", results)
    _show_people(translator, test, out / "people")
    report = run_report.write(out, log.read(run), json.loads(Experiment.load(run).model_dump_json()))
    console.print(rendered(results))
    print(f"Report: {report.resolve().as_uri()}")


def _show_people(translator, test: Path, out: Path) -> None:
    from PIL import Image as Pillow

    from aggan.images.convert import read

    out.mkdir(parents=True, exist_ok=True)
    for file in sorted((test / "neutral").glob("*.png"))[:SHOWN]:
        picture = read(file)
        made = translator(picture, TARGET)
        mask = Pillow.fromarray((made.mask * 255).round().astype("uint8"))
        answer = read(test / TARGET / file.name)
        parts = {"input": picture, "mask": mask, "content": made.content, "output": made.image, "answer": answer}
        for part, image in parts.items():
            image.save(out / f"{file.stem}.{part}.png")
