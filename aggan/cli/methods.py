"""`aggan methods [--size N] [--domains M] [--json]`: the methods that can be trained."""

import json
from dataclasses import dataclass

import tyro

from aggan.errors import UserError

LINE = "{:<23}{:>12} {:<10}{:>9}  {}"
"""Fits a terminal of 80 columns; the networks follow on a line of their own."""


@dataclass
class Methods:
    """List the methods: paper, training data, parameters of each network, and the figure in the paper's Table III."""

    size: int = 256
    """Side of the images in pixels."""
    domains: int = 2
    """Number of domains for the methods that take more than two."""
    json: bool = False
    """Print JSON instead of a table: exact counts of every network, titles, papers."""


def main(argv: list[str]) -> int:
    """Run the verb and return its exit code."""
    args = tyro.cli(Methods, args=argv, prog="aggan methods")
    if args.size < 8 or args.domains < 2:
        raise UserError("--size must be 8 or more and --domains 2 or more")
    from aggan.evaluation.capacity import capacity
    from aggan.methods.registry import METHODS

    rows = [capacity(name, args.size, args.domains) for name in METHODS]
    if args.json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return 0
    print(LINE.format("name", "one model", "models", "Table III", "learns from"))
    for row in rows:
        printed = f"{row.printed}M" if row.printed else ""
        count = f"{row.compared:,}" if row.networks else "-"
        print(LINE.format(row.name, count, row.models, printed, METHODS[row.name].needs.value))
        networks = "  ".join(f"{name} {count / 1e6:.1f}M" for name, count in row.networks.items())
        venue = row.about.paper.split("; ")[-1]
        print(f"  {row.about.title}, {venue}: {networks or row.refused}")
    return 0
