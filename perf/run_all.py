"""Measure everything in docs/performance.md and write its tables: `python perf/run_all.py`.

Takes about 45 minutes on a quiet machine with two cores. The figures go to docs/performance/*.json. The tables between
the markers of docs/performance.md are made from them; `--tables` only makes the tables. `--only precision` trains six
times, which takes 45 to 90 minutes. The small steps of two checkouts are compared by small_steps.py alone.
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
SCRIPTS = ("training", "memory", "startup", "translation")
ON_REQUEST = ("precision",)
MARKER = re.compile(r"(?P<start><!-- ((?P<file>[\w-]+): )?(?P<name>\w+) -->\n).*?<!-- / -->", re.DOTALL)
"""Around a table. `file` is given if the figures are from another machine than `docs/performance/SCRIPT.json`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SCRIPTS + ON_REQUEST, nargs="+", default=SCRIPTS)
    parser.add_argument("--tables", action="store_true", help="measure nothing, only write the tables")
    args = parser.parse_args()
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    for name in () if args.tables else args.only:
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), "--out", str(folder / f"{name}.json")], check=True)
    page = DOCS / "performance.md"
    page.write_text(MARKER.sub(fill, page.read_text(encoding="utf-8")), encoding="utf-8")


def fill(marked: re.Match[str]) -> str:
    """The table between two markers from its figures; unchanged if there are none."""
    script, table = TABLES[marked["name"]]
    file = DOCS / "performance" / f"{marked['file'] or script}.json"
    figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if marked["name"] in figures or (figures and marked["name"] == script):  # a part of the file, or all of it
        return f"{marked['start']}{table(figures)}\n<!-- / -->"
    return marked[0]


def markdown(heading: str, rows: list[str]) -> str:
    return "\n".join([heading, "|" + "---|" * (heading.count("|") - 1), *rows])


def machine_line(figures: dict[str, Any]) -> str:
    about = figures["machine"]
    rates = about["ceiling, GFLOP/s"]
    versions = f"{about['processor']}, {about['threads']} threads, torch {about['torch']}, Python {about['python']}."
    return f"{versions} Best large convolution: {rates['fp32']:.0f} GFLOP/s in fp32, {rates['bf16']:.0f} in bf16."


def steps_table(results: list[dict[str, Any]], ceiling: float) -> str:
    heading = (
        "| method | px | batch | plain, s | ours, s | ratio (min to max) | pairs | GFLOP per step | of the ceiling |"
    )
    rows = []
    for result in results:
        steps = result["steps"]
        times = f"{result['plain seconds'] / steps:.3f} | {result['our seconds'] / steps:.3f}"
        operations = f"{result['needed GFLOP'] / steps:,.0f} | {result['our GFLOP/s'] / ceiling:.0%}"
        setting = f"{result['method']} | {result['px']} | {result['batch']}"
        rows.append(f"| {setting} | {times} | {ratio_cell(result['ratio'])} | {result['pairs']} | {operations} |")
    return markdown(heading, rows)


def ratio_cell(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"


def ceiling(figures: dict[str, Any]) -> float:
    return max(figures["machine"]["ceiling, GFLOP/s"].values())


def optimizations_table(figures: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {result['predicted']:.2f} | {ratio_cell(result['ratio'])} |"
        for name, result in figures["optimizations"].items()
    ]
    return markdown("| alone, against the plain step | predicted from operations | measured |", rows)


def small_steps_table(figures: dict[str, Any]) -> str:
    heading = "| step | threads | before, ms | now, ms | ratio (min to max) | pairs |"
    rows = []
    for result in figures["settings"]:
        times = (result[f"{side} seconds"] / result["steps"] * 1000 for side in ("plain", "our"))
        before, now = (f"{milliseconds:.0f}" for milliseconds in times)
        rows.append(
            f"| {result['setting']} | {result['threads']} | {before} | {now} | {ratio_cell(result['ratio'])} | "
            f"{result['pairs']} |"
        )
    return markdown(heading, rows)


def memory_table(peaks: dict[str, float]) -> str:
    plain = peaks["plain, 256 px"]
    rows = [f"| {case} | {peak:,.0f} | {peak / plain:.0%} |" for case, peak in peaks.items()]
    return markdown("| | peak, MB | of the plain step at 256 px |", rows)


def startup_table(times: dict[str, float]) -> str:
    return markdown("| | seconds |", [f"| `{command}` | {seconds:.2f} |" for command, seconds in times.items()])


def translation_table(figures: dict[str, Any]) -> str:
    rows = [
        f"| {row['variant']} | {row['images per second']:.1f} | {row['ratio']:.2f} | {row['difference, of 255']:.3f} |"
        for row in figures["variants"]
    ]
    table = markdown("| | images per second | times as fast as the plain loop | difference, of 255 |", rows)
    peaks = [f"{peak:,.0f} MB for {count} images" for count, peak in figures["peak by number of images, MB"].items()]
    return f"{table}\n\nPeak memory of `aggan translate`: {', '.join(peaks)}."


def precision_table(figures: dict[str, Any]) -> str:
    fp32, bf16 = figures["scores"].values()
    rows = [
        f"| `{metric}` | {values_cell(fp32[metric])} | {values_cell(bf16[metric])} | "
        f"{result['fp32']:.3f} ± {result['half width']:.3f} | {result['bf16']:.3f} | "
        f"{'yes' if result['within'] else 'no'} |"
        for metric, result in figures["compared"].items()
    ]
    return markdown("| metric | fp32, three seeds | bf16, three seeds | fp32 mean, 95 % | bf16 mean | within |", rows)


def values_cell(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "machine": ("training", machine_line),
    "paper": ("training", lambda figures: steps_table([figures["paper"]], ceiling(figures))),
    "small": ("training", lambda figures: steps_table(figures["small"], ceiling(figures))),
    "optimizations": ("training", optimizations_table),
    "precision": ("precision", precision_table),
    "small_steps": ("small_steps", small_steps_table),
    "memory": ("memory", memory_table),
    "startup": ("startup", startup_table),
    "translation": ("translation", translation_table),
}
"""The script that measures a table's figures, and the function that writes it."""

if __name__ == "__main__":
    main()
