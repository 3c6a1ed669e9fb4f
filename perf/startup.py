"""How long commands take from a cold shell: `python benchmarks/startup.py --out startup.json`.

Each command is a process of its own, run some times; the median counts.
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

TIMES = 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("startup.json"))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as room:
        found = {name: _median(words, Path(room)) for name, words in _commands(Path(room)).items()}
    print(json.dumps(found, indent=2))
    asked.out.write_text(json.dumps(found, indent=2) + "\n")


def _commands(room: Path) -> dict[str, list[str]]:
    faces = room / "faces"
    _aggan(["data", "faces", "--out", str(faces), "--size", "64"], room)
    picture = next((faces / "test" / "neutral").glob("*.png"))
    train = ["train", "aggan", "--recipe", "faces64", "--data.root", str(faces), "--training.steps", "1"]
    return {
        "aggan --help": ["--help"],
        "aggan translate, one picture": [
            "translate",
            "faces64",
            str(picture),
            "--to",
            "happy",
            "--out",
            str(room / "out"),
        ],
        "aggan train, to the end of the first step": [*train, "--training.sample-every", "0", "--out", "RUN"],
    }


def _median(words: list[str], room: Path) -> float:
    told = []
    for time in range(TIMES):
        fresh = [str(room / f"run-{time}") if word == "RUN" else word for word in words]
        told.append(seconds(lambda fresh=fresh: _aggan(fresh, room)))
    return statistics.median(told)


def _aggan(words: list[str], room: Path) -> None:
    environment = os.environ | {"AGGAN_CACHE": str(room / "cache")}
    subprocess.run([sys.executable, "-m", "aggan", *words], env=environment, capture_output=True, check=True)


if __name__ == "__main__":
    main()
