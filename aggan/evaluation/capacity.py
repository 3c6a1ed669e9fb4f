"""Parameter counts of all methods, beside the figures that the paper's Table III printed."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from aggan.errors import UserError
from aggan.methods.base import About, MethodConfig, Task
from aggan.methods.registry import METHODS
from aggan.types import Needs

ONE, PER_DOMAIN, PER_PAIR, PER_DIRECTION = "1", "m", "m(m-1)/2", "m(m-1)"
"""How many models m domains need."""

TABLE_III: dict[str, tuple[float | None, str]] = {
    "pix2pix": (57.2, PER_DIRECTION),
    "encoder-decoder": (41.9, PER_DIRECTION),
    "bicyclegan": (64.3, PER_DIRECTION),
    "cyclegan": (52.6, PER_PAIR),
    "dualgan": (178.7, PER_PAIR),
    "discogan": (16.6, PER_PAIR),
    "distancegan": (52.6, PER_PAIR),
    "distance-cycle": (52.6, PER_PAIR),
    "self-distance": (52.6, PER_PAIR),
    "diat": (None, PER_DIRECTION),
    "combogan": (14.4, PER_DOMAIN),
    "stargan": (53.2, ONE),
    "contrastgan": (52.6, ONE),
    "aggan-domains-released": (52.6, ONE),
}
"""Table III for m = 8: millions of parameters as printed (DIAT is not in it), and how many models."""

MISCOUNTED = "printed: a six-block CycleGAN generator and StarGAN's critic without its class head (52,558,787)"
TOLERANCE = 0.05
"""In millions: Table III is printed with one decimal."""
TABLE_III_DOMAINS = 8
"""RaFD's."""
COUNTED_AT_128 = ("stargan", "aggan-domains", "aggan-domains-released")
"""Their critics grow with the image: Table III counts them at 128 px, and all others at 256."""
ACTION_UNITS = 17
"""Length of the codes of methods that learn from action units."""


@dataclass(frozen=True)
class Capacity:
    """The size of one method."""

    name: str
    about: About
    networks: dict[str, int]
    """Parameters of each network; lists of networks hold one for each domain."""
    total: int
    compared: int
    """The parameters that Table III compares: of one model of `models`."""
    printed: float | None
    """Table III's figure in millions."""
    models: str
    """How many models m domains need."""
    refused: str = ""
    """Why the method cannot be built for this task, if it cannot."""

    @property
    def agreement(self) -> str:
        """Whether Table III printed our count, and otherwise what it seems to have counted."""
        if self.printed is None or self.refused:
            return self.refused or "not printed"
        if abs(self.compared / 1e6 - self.printed) <= TOLERANCE:
            return "the same"
        return MISCOUNTED if self.printed == 52.6 else "different"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        about = {**self.about._asdict(), "needs": METHODS[self.name].needs.value}
        return asdict(self) | {"about": about, "agreement": self.agreement}


def table_three() -> list[dict[str, Any]]:
    """The rows of Table III, and of the two methods that are not in it."""
    sizes = {name: 128 if name in COUNTED_AT_128 else 256 for name in ("aggan", "aggan-domains", *TABLE_III)}
    return [{"px": size} | capacity(name, size, TABLE_III_DOMAINS).as_dict() for name, size in sizes.items()]


def count_parameters(config: MethodConfig, size: int, domains: int) -> dict[str, int]:
    """Parameters of each network of a method for images of `size` px. No memory is allocated for them.

    Raises `UserError` if the method cannot be built for this task.
    """
    names = tuple(f"domain-{k}" for k in range(domains if config.needs.many_domains else 2))
    codes = tuple((0.0,) * ACTION_UNITS for _ in names) if config.needs is Needs.ACTION_UNITS else ()
    with torch.device("meta"):
        method = config.build(Task(names, size, codes))
    networks = {part: sum(p.numel() for p in network.parameters()) for part, network in method.named_children()}
    return {part: count for part, count in networks.items() if count}


def capacity(name: str, size: int, domains: int) -> Capacity:
    """Count the parameters of a method as Table III does."""
    config = METHODS[name]
    printed, models = TABLE_III.get(name, (None, ONE if config.needs.many_domains else PER_PAIR))
    try:
        networks = count_parameters(config, size, domains)
    except UserError as error:
        return Capacity(name, config.about, {}, 0, 0, printed, models, refused=str(error))
    total = sum(networks.values())
    compared = total // ((domains if config.needs.many_domains else 2) if models == PER_DOMAIN else 1)
    return Capacity(name, config.about, networks, total, compared, printed, models)
