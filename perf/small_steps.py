"""Time the small steps of this checkout against those of another one, such as an older commit.

    git worktree add ../before COMMIT
    python perf/small_steps.py --before ../before --out small-steps.json

Measures the steps that most people train first, as their recipes have them: the quickstart's, the same with augmented
discriminators, `faces128` and a method for many domains. Both sides take turns, each in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from timing import Call, compare, machine

SETTINGS = {
    "quickstart": ("aggan", "faces64", {}),
    "quickstart, augment 0.5": ("aggan", "faces64", {"augment": 0.5}),
    "faces128": ("aggan", "faces128", {}),
    "aggan-domains, faces64": ("aggan-domains", "faces64", {}),
}
"""A method, a recipe, and settings of the training that differ from it."""
STEPS, WARM_UP = 4, 3
"""Steps timed at once, and before the first ones."""
HERE = Path(__file__).resolve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="folder of the other checkout")
    parser.add_argument("--out", type=Path, default=Path("small-steps.json"))
    parser.add_argument("--pairs", type=int, default=15, help="paired measurements of each setting")
    parser.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    parser.add_argument(
        "--serve", nargs=2, metavar=("SETTING", "THREADS"), help="take steps on request; used by itself"
    )
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], int(args.serve[1]), args.precision)
        return
    if not args.before:
        parser.error("--before is missing: the folder of the checkout to compare with")
    results: dict[str, Any] = {"machine": machine(), "precision": args.precision, "settings": []}
    for threads in (1, 2):
        for setting in SETTINGS:
            result = measure(setting, threads, args.precision, args.before, args.pairs)
            results["settings"].append(result)
            print(json.dumps(result), flush=True)
            args.out.write_text(json.dumps(results, indent=2) + "\n")


def measure(setting: str, threads: int, precision: str, before: Path, pairs: int) -> dict[str, Any]:
    with ExitStack() as stack:
        old, new = (
            stack.enter_context(steps_of(checkout, setting, threads, precision))
            for checkout in (before.resolve(), HERE.parent.parent)
        )
        result = compare(old, new, pairs)
    return {"setting": setting, "threads": threads, "steps": STEPS, **result}


@contextmanager
def steps_of(checkout: Path, setting: str, threads: int, precision: str) -> Iterator[Call]:
    """Some steps in a process that runs the code of a checkout."""
    argv = [sys.executable, str(HERE), "--serve", setting, str(threads), "--precision", precision]
    path = os.pathsep.join((str(checkout), str(HERE.parent)))
    # Without bound threads the system keeps both threads of one of the two processes on one core, at random.
    environment = os.environ | {"PYTHONPATH": path, "OMP_PROC_BIND": "true"}
    with subprocess.Popen(
        argv,
        cwd=checkout,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        requests, answers = process.stdin, process.stdout

        def call() -> None:
            requests.write("\n")
            requests.flush()
            if not answers.readline():
                raise RuntimeError(f"the steps of {checkout} failed; the reason is above")

        yield call
        requests.close()


def serve(setting: str, threads: int, precision: str) -> None:
    """Take steps for each line of the standard input, and print a line after them."""
    import torch

    from aggan.data.cache import DecodedDomain
    from aggan.data.datasets import DATASETS, Sampler
    from aggan.methods.base import Task
    from aggan.training.experiment import Experiment
    from aggan.training.fabric import Engine
    from aggan.training.trainer import Trainer

    name, recipe, changes = SETTINGS[setting]
    experiment = Experiment.of(name, recipe)
    training = experiment.training.model_copy(
        update={"precision": precision, "accelerator": "cpu", "threads": threads, "minutes": 1000.0, **changes}
    )
    size, random = experiment.data.size, np.random.default_rng(0)
    names = ("neutral", "happy", "sad") if name == "aggan-domains" else ("neutral", "happy")
    domains = [
        DecodedDomain(domain, (Path(domain),) * 64, random.integers(0, 256, (64, size, size, 3), dtype=np.uint8))
        for domain in names
    ]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    method: Any = experiment.method.build(Task(names, size)).train()
    dataset = DATASETS[experiment.method.needs](domains, Sampler(training.batch, 0, False))
    experiment = experiment.model_copy(update={"training": training})
    trainer = Trainer(experiment, method, dataset, Engine(training), Path())
    for _ in range(WARM_UP):
        trainer.step()
    for _ in sys.stdin:
        for _ in range(STEPS):
            trainer.step()
        print(flush=True)


if __name__ == "__main__":
    main()
