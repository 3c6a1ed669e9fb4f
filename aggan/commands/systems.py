"""`aggan systems`: what there is to train."""

from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    return tyro.cli(systems, args=arguments, prog="aggan systems")


def systems(size: Annotated[int, tyro.conf.arg(help="Side of the pictures in pixels.")] = 256) -> int:
    """List the systems and the parameters of each of their networks."""
    from aggan.system import Task
    from aggan.systems.catalogue import CATALOGUE

    table = Table("name", "parameters", "networks")
    for name, config in CATALOGUE.items():
        system = config.build(Task(("x", "y"), size))
        counts = {part: sum(p.numel() for p in network.parameters()) for part, network in system.named_children()}
        networks = "  ".join(f"{part} {count:,}" for part, count in counts.items() if count)
        table.add_row(name, f"{sum(counts.values()):,}", networks)
    Console().print(table)
    return 0
