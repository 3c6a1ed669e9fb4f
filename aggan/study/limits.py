"""How much one address and one participant may ask for. Each server counts for itself, in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

REMEMBERED = 10_000
"""So many addresses; the one that was quiet longest is forgotten first."""


@dataclass(frozen=True)
class Allowance:
    """So many at once, and so many a second in the long run."""

    burst: float
    per_second: float


@dataclass(frozen=True)
class Limits:
    """What is allowed; a school class behind one address fits in."""

    joins: Allowance = Allowance(250.0, 1.0)
    """Participations begun from an address."""
    refusals: Allowance = Allowance(500.0, 5.0)
    """Requests refused to an address; after these it gets no answer but 429."""
    answers: Allowance = Allowance(10.0, 4.0)
    """Answers of a participant: faster than people."""

    def times(self, factor: float) -> "Limits":
        """So many times as much of everything."""
        allowed = (self.joins, self.refusals, self.answers)
        return Limits(*(Allowance(one.burst * factor, one.per_second * factor) for one in allowed))


class Buckets:
    """A token bucket for each of those who ask."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float] = time.monotonic) -> None:
        self.allowance, self.clock = allowance, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def level(self, who: str) -> float:
        """What is left to them now."""
        full = self.allowance.burst
        left, when = self._levels.get(who, (full, 0.0))
        return min(full, left + (self.clock() - when) * self.allowance.per_second)

    def take(self, who: str) -> bool:
        """Take one, if there is one."""
        left = self.level(who)
        self._levels[who] = (max(0.0, left - 1), self.clock())
        self._levels.move_to_end(who)
        if len(self._levels) > REMEMBERED:
            self._levels.popitem(last=False)
        return left >= 1


def origin(host: str) -> str:
    """The address to count for: that of the network where one subscriber has many."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else host
