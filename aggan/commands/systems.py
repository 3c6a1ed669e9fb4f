"""`aggan systems [--size N] [--domains M] [--json]`: what there is to train."""

import json
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table

from aggan.errors import UserError


@dataclass
class Systems:
    """List the systems: paper, data, parameters of each network, and what the paper's Table III printed."""

    size: int = 256
    """Side of the pictures in pixels."""
    domains: int = 2
    """Domains of the systems that know many."""
    json: bool = False
    """Print JSON instead of a table."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    asked = tyro.cli(Systems, args=arguments, prog="aggan systems")
    if asked.size < 8 or asked.domains < 2:
        raise UserError("--size must be 8 or more and --domains 2 or more")
    from aggan.evaluation.capacity import capacity  # torch only once the options are in order
    from aggan.systems.catalogue import CATALOGUE

    rows = [capacity(name, asked.size, asked.domains) for name in CATALOGUE]
    if asked.json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return 0
    table = Table("name", "system", "learns from", "networks", "one model", "models", "Table III")
    for row in rows:
        networks = "  ".join(f"{part} {count:,}" for part, count in row.networks.items())
        printed = f"{row.printed}M" if row.printed else ""
        one = f"{row.compared:,}" if row.networks else "-"
        table.add_row(row.name, row.about.title, row.about.needs, networks or row.refused, one, row.models, printed)
    Console().print(table)
    return 0
