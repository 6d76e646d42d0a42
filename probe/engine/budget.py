"""The packet budget of the line. It lives where packets are sent, so that no measurement can exceed it.

Time comes in as ``now`` (seconds of a monotonic clock) and ``day`` (the UTC date): the module has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted

_BURST = 0.1  # share of a second's allowance that may leave at once


class Rate:
    """A leaky bucket (GCRA): in no window of one second do more than ``per_second`` units pass."""

    def __init__(self, per_second: int) -> None:
        burst = max(1, int(per_second * _BURST))
        steady = max(1, per_second - burst)
        self._each = 1.0 / steady
        self._slack = (burst - 1) * self._each
        self._next = float("-inf")

    def delay(self, now: float, units: int = 1) -> float:
        """Reserve ``units`` and say how many seconds to wait before using them."""
        start = max(self._next, now - self._slack)
        # A reservation of several is usable when its last unit is.
        last = start + (units - 1) * self._each
        self._next = start + units * self._each
        return max(0.0, last - now)


class Budget:
    """Packets a second (all, and for each address) and bytes a day.

    ``load`` and ``save`` keep (day, bytes used) across restarts; without them the count lasts as long as the process.
    """

    def __init__(
        self,
        safety: SafetyConfig,
        load: Callable[[], tuple[str, int]] | None = None,
        save: Callable[[str, int], None] | None = None,
    ) -> None:
        self._safety = safety
        self._all = Rate(safety.packets_per_second)
        self._targets: dict[str, Rate] = {}
        self._day, self.used = load() if load else ("", 0)
        self._save = save

    def take(self, address: str, packets: int, octets: int, now: float, day: str) -> float:
        """Reserve ``packets`` packets of ``octets`` bytes in all towards ``address``; returns seconds to wait first.

        Raises BudgetExhausted when the day's bytes are used up.
        """
        if day != self._day:
            self._day, self.used = day, 0
        if self.used + octets > self._safety.bytes_per_day:
            raise BudgetExhausted(
                f"the day's budget of {self._safety.bytes_per_day} bytes is used up",
                "it starts anew at midnight UTC; [safety] bytes_per_day sets it",
            )
        self.used += octets
        target = self._targets.get(address)
        if target is None:
            if len(self._targets) > 4096:
                self._targets.clear()
            target = self._targets[address] = Rate(self._safety.target_packets_per_second)
        return max(self._all.delay(now, packets), target.delay(now, packets))

    def flush(self) -> None:
        """Keep the count."""
        if self._save:
            self._save(self._day, self.used)
