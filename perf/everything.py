"""Measure everything that docs/performance.md tells, and write its tables: `python benchmarks/everything.py`.

On a quiet machine: about three quarters of an hour on two cores. Figures go to docs/performance/*.json; what stands
between the markers of docs/performance.md is made of them. `--tables` only makes the tables again. `--only precision`
trains six times: three quarters of an hour where bf16 is fast, else up to twice that.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PARTS = ("training", "memory", "startup", "translating")
LONG = ("precision",)
"""Only where it is asked for."""
MARKED = re.compile(r"(?P<begin><!-- ((?P<file>[\w-]+): )?(?P<name>\w+) -->\n).*?<!-- / -->", re.DOTALL)
"""Where a table stands; with the name of a file, if its figures are another machine's."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=PARTS + LONG, nargs="+", default=PARTS)
    options.add_argument("--tables", action="store_true", help="measure nothing")
    asked = options.parse_args()
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    for part in () if asked.tables else asked.only:
        subprocess.run([sys.executable, str(HERE / f"{part}.py"), "--out", str(folder / f"{part}.json")], check=True)
    page = DOCS / "performance.md"
    page.write_text(MARKED.sub(_filled, page.read_text(encoding="utf-8")), encoding="utf-8")


def _filled(marked: re.Match[str]) -> str:
    """A table between its markers made anew; left as it is where its figures are not there (yet)."""
    part, table = TABLES[marked["name"]]
    file = DOCS / "performance" / f"{marked['file'] or part}.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if marked["name"] in told or (told and marked["name"] == part):  # one table a file, or a part of it
        return f"{marked['begin']}{table(told)}\n<!-- / -->"
    return marked[0]


def _rows(heads: str, rows: list[str]) -> str:
    return "\n".join([heads, "|" + "---|" * (heads.count("|") - 1), *rows])


def _machine(told: dict[str, Any]) -> str:
    about = told["machine"]
    rates = about["ceiling, GFLOP/s"]
    what = f"{about['processor']}, {about['threads']} threads, torch {about['torch']}, Python {about['python']}."
    return f"{what} Best large convolution: {rates['fp32']:.0f} GFLOP/s in fp32, {rates['bf16']:.0f} in bf16."


def _steps(told: list[dict[str, Any]], ceiling: float) -> str:
    heads = (
        "| system | px | batch | plain, s | ours, s | ratio (least to most) | pairs | GFLOP a step | of the ceiling |"
    )
    rows = []
    for one in told:
        ratio, steps = one["ratio"], one["steps"]
        times = f"{one['plain seconds'] / steps:.3f} | {one['our seconds'] / steps:.3f}"
        spread = f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) | {one['pairs']}"
        needed = f"{one['needed GFLOP'] / steps:,.0f} | {one['our GFLOP/s'] / ceiling:.0%}"
        rows.append(f"| {one['system']} | {one['px']} | {one['batch']} | {times} | {spread} | {needed} |")
    return _rows(heads, rows)


def _best(told: dict[str, Any]) -> float:
    return max(told["machine"]["ceiling, GFLOP/s"].values())


def _ideas(told: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {one['predicted']:.2f} | "
        f"{one['ratio']['median']:.2f} ({one['ratio']['min']:.2f} to {one['ratio']['max']:.2f}) |"
        for name, one in told["ideas"].items()
    ]
    return _rows("| by itself, against the plain step | operations predict | measured |", rows)


def _memory(told: dict[str, Any]) -> str:
    plain = told["plain, 256 px"]
    rows = [f"| {name} | {value:,.0f} | {value / plain:.0%} |" for name, value in told.items()]
    return _rows("| | peak, MB | of the plain step at 256 px |", rows)


def _startup(told: dict[str, Any]) -> str:
    return _rows("| | seconds |", [f"| `{name}` | {value:.2f} |" for name, value in told.items()])


def _translating(told: dict[str, Any]) -> str:
    rows = [
        f"| {one['way']} | {one['pictures a second']:.1f} | {one['ratio']:.2f} | {one['difference, of 255']:.3f} |"
        for one in told["ways"]
    ]
    made = _rows("| | pictures a second | times the plain loop | differs by, of 255 |", rows)
    peaks = [f"{peak:,.0f} MB for {count} pictures" for count, peak in told["peak of so many pictures, MB"].items()]
    return f"{made}\n\nPeak memory of `aggan translate`: {', '.join(peaks)}."


def _precision(told: dict[str, Any]) -> str:
    fp32, bf16 = told["scores"].values()
    rows = [
        f"| {name} | {_each(fp32[name])} | {_each(bf16[name])} | {one['fp32']:.3f} ± {one['half width']:.3f} | "
        f"{one['bf16']:.3f} | {'yes' if one['within'] else 'no'} |"
        for name, one in told["compared"].items()
    ]
    return _rows("| | fp32, three seeds | bf16, three seeds | fp32's mean, 95 % | bf16's mean | within |", rows)


def _each(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "machine": ("training", _machine),
    "paper": ("training", lambda told: _steps([told["paper"]], _best(told))),
    "small": ("training", lambda told: _steps(told["small"], _best(told))),
    "ideas": ("training", _ideas),
    "precision": ("precision", _precision),
    "memory": ("memory", _memory),
    "startup": ("startup", _startup),
    "translating": ("translating", _translating),
}

if __name__ == "__main__":
    main()
