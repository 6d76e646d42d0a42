"""A line for work by the thousand, made from the configuration: with the guard and the budget of every other run."""

from __future__ import annotations

from pathlib import Path
from random import Random, SystemRandom

import msgspec

from probe.engine.budget import Budget
from probe.engine.bulk.gate import Gate
from probe.engine.bulk.line import Line
from probe.engine.counter import COUNT, DayCount
from probe.engine.guard import Guard, networks
from probe.engine.interfaces import Own, own_addresses
from probe.model.config import Config
from probe.wire.address import address_text
from probe.wire.home import home_networks


class Place(msgspec.Struct, frozen=True):
    """The line, its budget (whose count of the day is to be flushed), and whether an address is inside the home."""

    line: Line
    budget: Budget
    own: Own
    allow: tuple[str, ...]

    def name(self, raw: bytes) -> str:
        """The text of an address of 4 or 16 bytes; "" for one inside the home, which is nobody's business."""
        text = address_text(raw)
        return "" if text in self.own.addresses or self._in_home(raw) else text

    def _in_home(self, raw: bytes) -> bool:
        import ipaddress

        ip = ipaddress.ip_address(raw)
        home, opened = home_networks(self.own.interfaces), networks(self.allow)
        if any(ip.version == network.version and ip in network for network in opened):
            return False
        return any(ip.version == network.version and ip in network for network in home)


def place(config: Config, rate: int = 0) -> Place:
    """The line as it is now. ``rate``: packets a second, if fewer than the configuration allows. Raises ConfigError,
    OSError where the kernel does not tell this machine's addresses."""
    own = own_addresses()
    safety = config.safety
    count = DayCount(Path(config.probe.state_dir) / COUNT)
    budget = Budget(safety, count.load, count.save)
    guard = Guard(networks(safety.allow_networks), own.addresses, own.networks)
    chance = Random(SystemRandom().getrandbits(63))
    wanted = min(rate or safety.packets_per_second, safety.packets_per_second)
    line = Line(Gate(guard, budget), own, chance, wanted, config.probe.interface)
    return Place(line, budget, own, tuple(safety.allow_networks))
