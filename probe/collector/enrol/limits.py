"""How often anybody may knock in vain: a few times at once, then slowly; all together, a few times a second.

A code has 80 bits, so this is not what keeps it from being guessed: it keeps one client from taking all the turns.
Who has a right to be let in is not counted, so that thirty devices behind one address can be enrolled in one evening.
"""

from __future__ import annotations

import ipaddress

BURST, EACH = 10, 30.0
"""Attempts of one home at once, and seconds after which it has another."""
BURST_OF_ALL, EACH_OF_ALL = 200, 0.1
_MOST = 10_000
_NOTHING = 1e-6  # seconds: what floating point may leave of a wait that is over


class Attempts:
    """Token buckets, one for each network (IPv4 /32, IPv6 /56) and one for all. Pure: seconds are handed in."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._all = float("-inf")

    def wait(self, address: str, now: float) -> float:
        """Seconds until this home may try; 0.0: now."""
        due, together = self._due(_network(address), now)
        delay = max(due, together) - now
        return delay if delay > _NOTHING else 0.0

    def failed(self, address: str, now: float) -> None:
        """This home has tried in vain."""
        home = _network(address)
        if len(self._next) >= _MOST:
            self._next = {one: at for one, at in self._next.items() if at > now}
        due, together = self._due(home, now)
        self._all = together + EACH_OF_ALL
        if len(self._next) < _MOST:  # a flood from everywhere: the limit of all together holds
            self._next[home] = due + EACH

    def _due(self, home: str, now: float) -> tuple[float, float]:
        return (
            max(self._next.get(home, float("-inf")), now - (BURST - 1) * EACH),
            max(self._all, now - (BURST_OF_ALL - 1) * EACH_OF_ALL),
        )


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 56 if ip.version == 6 else 32), strict=False))
