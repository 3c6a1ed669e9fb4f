"""Peak memory of training steps, each in a process of its own: `python benchmarks/memory.py --out memory.json`."""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from sides import Setting, Steps, trainer

CASES = {
    "plain, 256 px": ("aggan-released", 256, "plain"),
    "ours, 256 px": ("aggan-released", 256, "ours"),
    "ours, computing twice, 256 px": ("aggan-released", 256, "twice"),
    "ours, 512 px": ("aggan-released", 512, "ours"),
    "ours, computing twice, 512 px": ("aggan-released", 512, "twice"),
}
STEPS = 2


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path("memory.json"))
    options.add_argument("--case", choices=CASES, help="measure this one, here")
    asked = options.parse_args()
    if asked.case:
        print(_peak(*CASES[asked.case]))
        return
    found = {}
    for case in CASES:
        told = subprocess.run([sys.executable, __file__, "--case", case], capture_output=True, text=True, check=True)
        found[case] = float(told.stdout.split()[-1])
        print(f"{case}: {found[case]:.0f} MB", flush=True)
    asked.out.write_text(json.dumps(found, indent=2) + "\n")


def _peak(name: str, size: int, way: str) -> float:
    """MB above what the process held before the networks were made."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setting = Setting(name, size, 1)
    side = Steps(setting) if way == "plain" else trainer(setting, "auto", recompute=way == "twice")
    for _ in range(STEPS):
        side.step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
