"""A line for work by the thousand, made from the configuration: with the guard and the budget of every other run."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from random import Random, SystemRandom

from probe.engine.budget import Budget
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.counter import COUNT, DayCount
from probe.engine.guard import Guard, Network, networks
from probe.engine.interfaces import Own, own_addresses
from probe.model.config import Config
from probe.wire.address import address_bytes, address_text
from probe.wire.home import home_networks, in_home


class Place:
    """The line, its budget (whose count of the day is to be flushed), and whether an address is inside the home."""

    def __init__(self, line: Line, budget: Budget, own: Own, opened: tuple[Network, ...]) -> None:
        self.line, self.budget = line, budget
        self._home, self._opened = home_networks(own.interfaces), opened
        self._names = {address_bytes(text): "" for text in own.addresses}

    def name(self, raw: bytes) -> str:
        """The text of an address of 4 or 16 bytes; "" for one inside the home, which is nobody's business."""
        known = self._names.get(raw)
        if known is None:
            home = in_home(ipaddress.ip_address(raw), self._home, self._opened)
            known = self._names[raw] = "" if home else address_text(raw)
        return known


def place(config: Config, rate: int = 0, budget: Budget | None = None) -> Place:
    """The line as it is now. ``rate``: packets a second, if fewer than the configuration allows; ``budget``: that of
    others in this process, if there is one. Raises ConfigError, OSError where the kernel does not tell this machine's
    addresses."""
    own = own_addresses()
    safety = config.safety
    if budget is None:
        count = DayCount(Path(config.probe.state_dir) / COUNT)
        budget = Budget(safety, count.load, count.save)
    opened = networks(safety.allow_networks)
    guard = Guard(opened, own.addresses, own.networks)
    chance = Random(SystemRandom().getrandbits(63))
    wanted = min(rate or safety.packets_per_second, safety.packets_per_second)
    line = Line(Gate(guard, budget), own, chance, wanted, config.probe.interface)
    return Place(line, budget, own, opened)
