"""Rate limits for client addresses and participants. Each server counts for itself, in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

MAX_CLIENTS = 10_000
"""Number of clients that are remembered; the one that was idle longest is forgotten first."""


@dataclass(frozen=True)
class RateLimit:
    """A token bucket's capacity and its refill per second."""

    burst: float
    per_second: float


@dataclass(frozen=True)
class RateLimits:
    """All limits. The defaults leave room for a school class behind one address."""

    joins: RateLimit = RateLimit(250.0, 1.0)
    """New participants from one address."""
    refusals: RateLimit = RateLimit(500.0, 5.0)
    """Refused requests from one address; above the limit, every request gets status 429."""
    answers: RateLimit = RateLimit(10.0, 4.0)
    """Answers of one participant; faster than people answer."""

    def scaled(self, factor: float) -> "RateLimits":
        """All limits multiplied by a factor."""
        limits = (self.joins, self.refusals, self.answers)
        return RateLimits(*(RateLimit(limit.burst * factor, limit.per_second * factor) for limit in limits))


class TokenBuckets:
    """One token bucket for each client."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.clock = limit, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def level(self, client: str) -> float:
        """The number of tokens that the client has now."""
        capacity = self.limit.burst
        level, updated = self._levels.get(client, (capacity, 0.0))
        return min(capacity, level + (self.clock() - updated) * self.limit.per_second)

    def take(self, client: str) -> bool:
        """Take one token. Returns False if there is none."""
        level = self.level(client)
        self._levels[client] = (max(0.0, level - 1), self.clock())
        self._levels.move_to_end(client)
        if len(self._levels) > MAX_CLIENTS:
            self._levels.popitem(last=False)
        return level >= 1


def client_network(host: str) -> str:
    """The address to count requests for: an IPv4 address, or the /64 network of an IPv6 subscriber."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else host
