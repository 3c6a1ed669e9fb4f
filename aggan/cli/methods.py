"""`aggan systems [--size N] [--domains M] [--json]`: what there is to train."""

import json
from dataclasses import dataclass

import tyro

from aggan.errors import UserError

LINE = "{:<23}{:>12} {:<10}{:>9}  {}"
"""Fits a terminal of 80 columns; the networks follow on a line of their own."""


@dataclass
class Systems:
    """List the systems: paper, data, parameters of each network, and what the paper's Table III printed."""

    size: int = 256
    """Side of the pictures in pixels."""
    domains: int = 2
    """Domains of the systems that know many."""
    json: bool = False
    """Print JSON instead of a table: exact counts of every network, titles, papers."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Systems, args=arguments, prog="aggan systems")
    if asked.size < 8 or asked.domains < 2:
        raise UserError("--size must be 8 or more and --domains 2 or more")
    from aggan.evaluation.capacity import capacity
    from aggan.methods.registry import CATALOGUE

    rows = [capacity(name, asked.size, asked.domains) for name in CATALOGUE]
    if asked.json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return 0
    print(LINE.format("name", "one model", "models", "Table III", "learns from"))
    for row in rows:
        printed = f"{row.printed}M" if row.printed else ""
        one = f"{row.compared:,}" if row.networks else "-"
        print(LINE.format(row.name, one, row.models, printed, row.about.needs))
        networks = "  ".join(f"{part} {count / 1e6:.1f}M" for part, count in row.networks.items())
        venue = row.about.paper.split("; ")[-1]
        print(f"  {row.about.title}, {venue}: {networks or row.refused}")
    return 0
