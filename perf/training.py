"""Time training steps: this package's against the plain one.

    python perf/training.py --out training.json

Measures one step of `aggan-released` at 256 px (the paper's size), steps of three methods at 64 and 128 px with
several batch sizes, and what each optimization brings by itself. Both sides take their steps in turn, each in a
process of its own.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from steps import ALL, Optimizations, Precision, Setting, count_operations, our_step, plain_step
from timing import compare, in_own_process, machine

SHORT = 128**2
"""Pixels of a batch up to which a step is short."""
PAPER = Setting("aggan-released", 256, 1)
SMALL = [
    Setting(name, size, batch)
    for name in ("aggan", "cyclegan", "stargan")
    for size in (64, 128)
    for batch in (1, 4, 16)
]
CHANNELS_LAST = Optimizations(channels_last=True)
BF16 = Optimizations(channels_last=True, bf16=True)
OPTIMIZATIONS = {
    "channels-last memory": CHANNELS_LAST,
    "discriminators frozen in the generators' update": Optimizations(frozen_networks=True),
    "fused Adam": Optimizations(fused_adam=True),
    "no unused passes": Optimizations(no_unused_passes=True),
    "freed memory retained": Optimizations(retained_memory=True),
    "channels-last memory, fast convolutions": replace(CHANNELS_LAST, fast_convolutions=True),
    "all of these": ALL,
    "bf16, channels-last memory": BF16,
    "bf16, channels-last memory, fast convolutions": replace(BF16, fast_convolutions=True),
    "bf16 and all of these": replace(ALL, bf16=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training.json"))
    parser.add_argument("--pairs", type=int, default=3, help="paired measurements of each comparison")
    parser.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    parser.add_argument("--only", choices=PARTS, nargs="+", default=tuple(PARTS), help="parts to measure")
    args = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "precision": args.precision}
    for part in args.only:
        results[part] = PARTS[part](results["machine"]["ceiling, GFLOP/s"], args.precision, args.pairs)
        args.out.write_text(json.dumps(results, indent=2) + "\n")


def measure_setting(setting: Setting, precision: Precision, pairs: int) -> dict[str, Any]:
    # StarGAN's generator learns in every fifth step. Short steps are timed five at a time, as in a training: after a
    # step of the other side, each would find a cold cache.
    short = setting.batch * setting.size**2 <= SHORT
    steps = 5 if short or setting.name == "stargan" else 1
    operations = count_operations(setting) * steps
    with (
        in_own_process(partial(plain_step, setting)) as plain,
        in_own_process(partial(our_step, setting, precision)) as ours,
    ):
        result = compare(plain, ours, pairs, steps)
    result |= {"method": setting.name, "px": setting.size, "batch": setting.batch, "steps": steps}
    result |= {"needed GFLOP": operations / 1e9, "our GFLOP/s": operations / result["our seconds"] / 1e9}
    print(json.dumps(result), flush=True)
    return result


def measure_optimizations(ceilings: dict[str, float], _: Precision, pairs: int) -> dict[str, Any]:
    bf16_rate, operations = ceilings["bf16"] / ceilings["fp32"], count_operations(PAPER, Optimizations())
    # On processors without bf16 products such steps take minutes each, and nobody would use them.
    measured = {name: chosen for name, chosen in OPTIMIZATIONS.items() if bf16_rate > 1 or not chosen.bf16}
    return {name: _measure_one(chosen, operations, bf16_rate, pairs) for name, chosen in measured.items()}


def _measure_one(optimizations: Optimizations, plain_operations: float, bf16_rate: float, pairs: int) -> dict[str, Any]:
    """The measured ratio, and the one predicted from the number of operations and the rate of bf16."""
    predicted = plain_operations / count_operations(PAPER, optimizations) * (bf16_rate if optimizations.bf16 else 1)
    with (
        in_own_process(partial(plain_step, PAPER)) as plain,
        in_own_process(partial(plain_step, PAPER, optimizations)) as optimized,
    ):
        result = compare(plain, optimized, pairs) | {"predicted": predicted}
    print(json.dumps(result), flush=True)
    return result


PARTS: dict[str, Callable[[dict[str, float], Precision, int], Any]] = {
    "paper": lambda _, precision, pairs: measure_setting(PAPER, precision, pairs),
    "optimizations": measure_optimizations,
    "small": lambda _, precision, pairs: [measure_setting(setting, precision, pairs) for setting in SMALL],
}

if __name__ == "__main__":
    main()
