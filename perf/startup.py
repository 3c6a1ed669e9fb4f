"""Measure how long commands take from a cold shell: `python perf/startup.py --out startup.json`.

Each command runs in a process of its own, five times. The median counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import seconds

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("startup.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = {name: median_seconds(argv, Path(folder)) for name, argv in commands(Path(folder)).items()}
    print(json.dumps(times, indent=2))
    args.out.write_text(json.dumps(times, indent=2) + "\n")


def commands(folder: Path) -> dict[str, list[str]]:
    """Arguments of `aggan` by what the tables call the command."""
    faces = folder / "faces"
    run_aggan(["data", "faces", "--out", str(faces), "--size", "64"], folder)
    image = next((faces / "test" / "neutral").glob("*.png"))
    train = ["train", "aggan", "--recipe", "faces64", "--data.root", str(faces), "--training.steps", "1"]
    return {
        "aggan --help": ["--help"],
        "aggan translate, one image": [
            "translate",
            "faces64",
            str(image),
            "--to",
            "happy",
            "--out",
            str(folder / "out"),
        ],
        "aggan train, to the end of the first step": [*train, "--training.sample-every", "0", "--out", "RUN"],
    }


def median_seconds(argv: list[str], folder: Path) -> float:
    """RUN in the arguments becomes a new folder each time."""
    times = []
    for repeat in range(REPEATS):
        fresh = [str(folder / f"run-{repeat}") if word == "RUN" else word for word in argv]
        times.append(seconds(lambda fresh=fresh: run_aggan(fresh, folder)))
    return statistics.median(times)


def run_aggan(argv: list[str], folder: Path) -> None:
    environment = os.environ | {"AGGAN_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, "-m", "aggan", *argv], env=environment, capture_output=True, check=True)


if __name__ == "__main__":
    main()
