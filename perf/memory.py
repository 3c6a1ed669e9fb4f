"""Measure the peak memory of training steps, each in its own process: `python perf/memory.py --out memory.json`."""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from steps import PlainTrainer, Setting, our_trainer

CASES = {
    "plain, 256 px": ("aggan-released", 256, "plain"),
    "ours, 256 px": ("aggan-released", 256, "ours"),
    "ours, checkpointing, 256 px": ("aggan-released", 256, "checkpointing"),
    "ours, 512 px": ("aggan-released", 512, "ours"),
    "ours, checkpointing, 512 px": ("aggan-released", 512, "checkpointing"),
}
STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("memory.json"))
    parser.add_argument("--case", choices=CASES, help="measure one case, in this process")
    args = parser.parse_args()
    if args.case:
        print(peak_memory(*CASES[args.case]))
        return
    peaks = {}
    for case in CASES:
        command = [sys.executable, __file__, "--case", case]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks[case] = float(output.split()[-1])
        print(f"{case}: {peaks[case]:.0f} MB", flush=True)
    args.out.write_text(json.dumps(peaks, indent=2) + "\n")


def peak_memory(name: str, size: int, variant: str) -> float:
    """MB above the memory of the process before the networks are built."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setting = Setting(name, size, 1)
    plain = variant == "plain"
    trainer = PlainTrainer(setting) if plain else our_trainer(setting, "auto", variant == "checkpointing")
    for _ in range(STEPS):
        trainer.step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    main()
