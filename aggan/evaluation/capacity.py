"""How large systems are: the parameters of every network, and what the paper's Table III printed."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from aggan.errors import UserError
from aggan.methods.base import About, Task
from aggan.methods.registry import CATALOGUE

ONCE, EACH, PAIRS, WAYS = "1", "m", "m(m-1)/2", "m(m-1)"
"""How many models m domains need: one, one a domain, one for every two, one for every two and direction."""

TABLE_III: dict[str, tuple[float | None, str]] = {
    "pix2pix": (57.2, WAYS),
    "encoder-decoder": (41.9, WAYS),
    "bicyclegan": (64.3, WAYS),
    "cyclegan": (52.6, PAIRS),
    "dualgan": (178.7, PAIRS),
    "discogan": (16.6, PAIRS),
    "distancegan": (52.6, PAIRS),
    "distance-cycle": (52.6, PAIRS),
    "self-distance": (52.6, PAIRS),
    "diat": (None, WAYS),
    "combogan": (14.4, EACH),
    "stargan": (53.2, ONCE),
    "contrastgan": (52.6, ONCE),
    "aggan-domains-released": (52.6, ONCE),
}
"""What Table III printed for m = 8: millions of parameters, and how many models. It has no DIAT."""

MISCOUNTED = "printed: a six-block CycleGAN generator and StarGAN's critic without its class head (52,558,787)"
ROUNDED = 0.05
"""Millions by which a figure printed with one decimal may differ."""
RAFD = 8
"""Domains of Table III."""
SMALL = ("stargan", "aggan-domains", "aggan-domains-released")
"""Critics grow with the picture: these were counted at 128 px, the others at 256."""


@dataclass(frozen=True)
class Capacity:
    """One row."""

    name: str
    about: About
    networks: dict[str, int]
    """Parameters of each network; of many domains the lists hold one for each."""
    total: int
    compared: int
    """What Table III compares: the parameters of one of its models."""
    printed: float | None
    """Table III's figure in millions."""
    models: str
    """How many such models m domains need."""
    refused: str = ""
    """Why the system cannot be built for this task."""

    @property
    def millions(self) -> float:
        """What Table III compares, as it prints it."""
        return self.compared / 1e6

    @property
    def verdict(self) -> str:
        """Whether our count is the printed one, and if not, what seems to have been counted."""
        if self.printed is None or self.refused:
            return self.refused or "not printed"
        if abs(self.millions - self.printed) <= ROUNDED:
            return "the same"
        return MISCOUNTED if self.printed == 52.6 else "different"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"about": self.about._asdict(), "verdict": self.verdict}


def table_three() -> list[dict[str, Any]]:
    """The rows of Table III, and of the two systems that it lacks."""
    sizes = {name: 128 if name in SMALL else 256 for name in ("aggan", "aggan-domains", *TABLE_III)}
    return [{"px": size} | capacity(name, size, RAFD).as_dict() for name, size in sizes.items()]


def capacity(name: str, size: int, domains: int) -> Capacity:
    """Count the networks of a catalogue entry for so many domains at `size` px (without making them)."""
    config = CATALOGUE[name]
    many = "domains" in config.about.needs.split(", ")
    printed, models = TABLE_III.get(name, (None, ONCE if many else PAIRS))
    known = tuple(f"domain-{k}" for k in range(domains if many else 2))
    units = tuple((0.0,) * 17 for _ in known) if config.codes else ()
    try:
        with torch.device("meta"):
            system = config.build(Task(known, size, units))
    except UserError as why:
        return Capacity(name, config.about, {}, 0, 0, printed, models, refused=str(why))
    networks = {part: sum(p.numel() for p in network.parameters()) for part, network in system.named_children()}
    total = sum(networks.values())
    networks = {part: count for part, count in networks.items() if count}
    return Capacity(
        name, config.about, networks, total, total // (len(known) if models == EACH else 1), printed, models
    )
