"""Training steps, this package's against the plain way: `python benchmarks/training.py --out training.json`.

One step of `aggan-released` at 256 px (the paper's size), the same at 64 and 128 px in batches for three systems, and
what each idea brings by itself. Both sides take their steps in turn, each in a process of its own.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sides import ALL, Ideas, Precision, Setting, operations, our_step, step
from timing import apart, in_turn, machine

SHORT = 128**2
"""Pixels of a batch up to which steps are short."""
PAPER = Setting("aggan-released", 256, 1)
SMALL = [
    Setting(name, size, batch)
    for name in ("aggan", "cyclegan", "stargan")
    for size in (64, 128)
    for batch in (1, 4, 16)
]
LAST, BF16 = replace(Ideas(), channels_last=True), replace(Ideas(), bf16=True, channels_last=True)
IDEAS = {
    "channels-last memory": LAST,
    "discriminators frozen in the generators' turn": replace(Ideas(), frozen_spectators=True),
    "fused Adam": replace(Ideas(), fused_adam=True),
    "no unused passes": replace(Ideas(), without_waste=True),
    "freed memory kept": replace(Ideas(), kept_memory=True),
    "channels-last memory, quick convolutions": replace(LAST, quick_convolutions=True),
    "all of these": ALL,
    "bf16, channels-last memory": BF16,
    "bf16, channels-last memory, quick convolutions": replace(BF16, quick_convolutions=True),
    "bf16 and all of these": replace(ALL, bf16=True),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("training.json"))
    options.add_argument("--pairs", type=int, default=3)
    options.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    options.add_argument("--only", choices=PARTS, nargs="+", default=tuple(PARTS))
    asked = options.parse_args()
    found: dict[str, Any] = {"machine": machine(), "precision": asked.precision}
    for part in asked.only:
        found[part] = PARTS[part](found["machine"]["ceiling, GFLOP/s"], asked.precision, asked.pairs)
        asked.out.write_text(json.dumps(found, indent=2) + "\n")


def _ideas(ceilings: dict[str, float], _: str, pairs: int) -> dict[str, Any]:
    bf16, plain = ceilings["bf16"] / ceilings["fp32"], operations(PAPER, Ideas())
    # Where bf16 is made of fp32 by the processor's program, such steps take minutes each and tell nothing.
    tried = {name: ideas for name, ideas in IDEAS.items() if bf16 > 1 or not ideas.bf16}
    return {name: _idea(ideas, plain, bf16, pairs) for name, ideas in tried.items()}


def _compared(setting: Setting, precision: Precision, pairs: int) -> dict[str, Any]:
    # StarGAN's generator learns every five steps. Short steps are taken five at a time, too, as trainings take them:
    # after the other side's step each would find the processor's cache cold.
    short = setting.batch * setting.size**2 <= SHORT
    round_, needed = 5 if short or setting.name == "stargan" else 1, operations(setting)
    with apart(partial(step, setting, Ideas())) as plain, apart(partial(our_step, setting, precision)) as ours:
        told = in_turn(plain, ours, pairs, round_)
    told |= {"system": setting.name, "px": setting.size, "batch": setting.batch, "steps": round_}
    told |= {"needed GFLOP": needed * round_ / 1e9, "our GFLOP/s": needed * round_ / told["our seconds"] / 1e9}
    print(json.dumps(told), flush=True)
    return told


def _idea(ideas: Ideas, plain: float, bf16: float, pairs: int) -> dict[str, Any]:
    """Predicted from the operations alone, in bf16 at so many times the rate of fp32; and measured."""
    predicted = plain / operations(PAPER, ideas) * (bf16 if ideas.bf16 else 1)
    with apart(partial(step, PAPER, Ideas())) as one, apart(partial(step, PAPER, ideas)) as other:
        told = in_turn(one, other, pairs) | {"predicted": predicted}
    print(json.dumps(told), flush=True)
    return told


PARTS: dict[str, Callable[[dict[str, float], Precision, int], Any]] = {
    "paper": lambda _, precision, pairs: _compared(PAPER, precision, pairs),
    "ideas": _ideas,
    "small": lambda _, precision, pairs: [_compared(setting, precision, pairs) for setting in SMALL],
}

if __name__ == "__main__":
    main()
