"""The packet budget of the line. It lives where packets are sent, so that no measurement can exceed it.

Time comes in as ``now`` (seconds of a monotonic clock) and ``day`` (the UTC date): the module has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakSet

from probe.model.config import SafetyConfig
from probe.model.errors import BudgetExhausted
from probe.wire.address import address_bytes

HEADERS = 60
"""Bytes counted for each packet besides its payload."""
HANDSHAKE = 4
"""Packets of a TCP flow that the kernel sends by itself and close together: SYN, ACK, the payload, the closing RST."""
_BURST = 0.1  # share of a second's allowance that may leave at once
_NOTHING = 1e-9  # seconds: what floating point may leave of a wait that is over
_MANY = 4096  # targets remembered before the idle ones among them are forgotten


class Rate:
    """A token bucket: in no second, wherever it begins, do more than ``per_second`` units pass.

    That holds for takes of at most ``burst`` units. A larger one (a handshake where fewer than four packets a second
    are allowed) passes when the bucket is full, and its debt is waited for by the next.
    """

    def __init__(self, per_second: int) -> None:
        self.burst = min(per_second, max(HANDSHAKE, int(per_second * _BURST)))
        self._per_second = per_second
        self._reserved = 0
        self._set()
        self._next = float("-inf")

    def _set(self) -> None:
        self._each = 1.0 / max(1, self._per_second - self.burst - self._reserved)
        self._slack = (self.burst - 1) * self._each

    def room(self, beside: bool = True) -> int:
        """Most units a second that may be reserved: now, or if nothing else is (not ``beside``)."""
        return self._per_second - self.burst - 1 - (self._reserved if beside else 0)

    def reserve(self, per_second: int) -> None:
        """Keep so many units a second apart, for who spends them evenly; a negative number gives them back."""
        self._reserved += per_second
        self._set()

    def wait(self, now: float, units: int = 1) -> float:
        """Seconds until ``units`` may pass; 0.0: now. Takes nothing."""
        start = max(self._next, now - self._slack)
        delay = start + (min(units, self.burst) - 1) * self._each - now
        return delay if delay > _NOTHING else 0.0

    def use(self, now: float, units: int = 1) -> None:
        """Take ``units``, allowed or not: the debt delays what comes after."""
        self._next = max(self._next, now - self._slack) + units * self._each

    def pass_one(self, now: float) -> float:
        """Take one unit if it may pass now, as :meth:`wait` and :meth:`use` do; else the seconds until it may."""
        start, full = self._next, now - self._slack
        if start < full:
            start = full
        elif start - now > _NOTHING:
            return start - now
        self._next = start + self._each
        return 0.0

    def at_once(self, now: float) -> int:
        """How many units may pass now, one by one."""
        return max(0, int((now + _NOTHING - max(self._next, now - self._slack)) / self._each + 1))

    def idle(self, now: float) -> bool:
        """Whether the bucket is full and nothing of it reserved, so that a new one would be no different."""
        return self._next <= now - self._slack and not self._reserved


class Row:
    """Allowances of several addresses, in their order, and which is whose."""

    def __init__(self) -> None:
        self.rates: list[Rate] = []
        self.by_address: dict[bytes, Rate] = {}

    def add(self, key: bytes, rate: Rate) -> None:
        """One more; ``key``: the bytes of its address."""
        self.rates.append(rate)
        self.by_address[key] = rate


class Budget:
    """Packets a second (all, and for each address) and bytes a day.

    ``load`` and ``save`` keep (day, bytes used) for other processes and later ones; ``save`` returns what all of them
    have used on that day. Without them the count lasts as long as the process.
    """

    def __init__(
        self,
        safety: SafetyConfig,
        load: Callable[[], tuple[str, int]] | None = None,
        save: Callable[[str, int], int] | None = None,
    ) -> None:
        self._safety = safety
        self._all = Rate(safety.packets_per_second)
        self._targets: dict[bytes, Rate] = {}
        self._rows: WeakSet[Row] = WeakSet()  # that somebody still holds
        self._most = _MANY
        self._load = load or (lambda: ("", 0))
        self._day, self.used = self._load()
        self._save = save

    def wait(self, address: str, packets: int, now: float) -> float:
        """Seconds until ``packets`` may leave as far as ``address`` itself is concerned. Takes nothing."""
        return self._target(address, now).wait(now, packets)

    def take(self, address: str, packets: int, octets: int, now: float, day: str) -> float:
        """Take ``packets`` packets of ``octets`` bytes in all towards ``address``.

        Returns 0.0 if they were taken; else nothing was, and it is worth asking again after so many seconds. Raises
        BudgetExhausted when the day's bytes are used up.
        """
        self._check(octets, day)
        delay = max(self._all.wait(now, packets), self.wait(address, packets, now))
        if not delay:
            self.spend(address, packets, octets, now, day)
        return delay

    def spend(self, address: str, packets: int, octets: int, now: float, day: str) -> None:
        """Count what has left already (the kernel's retransmissions and acknowledgements)."""
        self._today(day)
        self.used += octets
        self._all.use(now, packets)
        self._target(address, now).use(now, packets)

    def rates(self, addresses: Sequence[str], now: float, row: Row | None = None) -> Row:
        """The allowance of each address, for :meth:`take_row`: in force for as long as the row is held. ``row``: to
        which they are added."""
        if row is None:
            row = Row()
            self._rows.add(row)
        for address in addresses:
            key = address_bytes(address)
            row.add(key, self._of(key, now))
        return row

    def take_row(self, rates: Sequence[Rate], octets: int, now: float, day: str) -> tuple[int, float]:
        """Take one packet of ``octets`` bytes for each of ``rates``, in this order, as far as they may leave now.

        Returns how many were taken, and after how many seconds it is worth asking for the next. Raises BudgetExhausted
        where the day's bytes do not suffice for one.
        """
        self._check(octets, day)
        most = min(len(rates), self._all.at_once(now), (self._safety.bytes_per_day - self.used) // octets)
        taken, delay = 0, 0.0
        for rate in rates[:most]:
            delay = rate.pass_one(now)
            if delay:
                break
            taken += 1
        self._all.use(now, taken)
        self.used += taken * octets
        return taken, delay or (self._all.wait(now) if taken < len(rates) else 0.0)

    def spend_on(self, rate: Rate, packets: int, octets: int, now: float, day: str) -> None:
        """As :meth:`spend`, for one of :meth:`rates`."""
        self._today(day)
        self.used += octets
        self._all.use(now, packets)
        rate.use(now, packets)

    def carries(self, address: str, per_second: int, now: float) -> bool:
        """Whether a stream of so many packets a second could be reserved if there were no other."""
        return per_second <= min(rate.room(beside=False) for rate in (self._all, self._target(address, now)))

    def reserve(self, address: str, per_second: int, octets: int, now: float, day: str) -> bool:
        """Keep a stream's packets a second apart until :meth:`release`, and take its bytes; False: no room now.

        Raises BudgetExhausted as :meth:`take` does.
        """
        self._check(octets, day)
        rates = self._all, self._target(address, now)
        if per_second > min(rate.room() for rate in rates):
            return False
        self.used += octets
        for rate in rates:
            rate.reserve(per_second)
        return True

    def release(self, address: str, per_second: int, now: float) -> None:
        """A reserved stream is over."""
        for rate in (self._all, self._target(address, now)):
            rate.reserve(-per_second)

    def give_back(self, octets: int, day: str) -> None:
        """Bytes that were taken and then not sent."""
        if day == self._day:
            self.used = max(0, self.used - octets)

    def _check(self, octets: int, day: str) -> None:
        self._today(day)
        if self.used + octets > self._safety.bytes_per_day:
            raise BudgetExhausted(
                f"the day's budget of {self._safety.bytes_per_day} bytes is used up",
                "it starts anew at midnight UTC; [safety] bytes_per_day sets it",
            )

    def flush(self) -> None:
        """Keep the count, and learn what others have used since. Raises what ``save`` raises."""
        if self._save:
            self.used = self._save(self._day, self.used)

    def _today(self, day: str) -> None:
        if day != self._day:
            known, used = self._load()
            self._day, self.used = day, used if known == day else 0

    def _target(self, address: str, now: float) -> Rate:
        return self._of(address_bytes(address), now)

    def _of(self, key: bytes, now: float) -> Rate:
        # By its bytes: another spelling of an IPv6 address is not another target.
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) >= self._most:
                # Only the idle are forgotten: many targets are no way around the pace of one.
                self._targets = {k: rate for k, rate in self._targets.items() if not rate.idle(now)}
                self._most = max(_MANY, 2 * len(self._targets))
            held = next((row.by_address[key] for row in self._rows if key in row.by_address), None)
            target = held or Rate(self._safety.target_packets_per_second)
            self._targets[key] = target
        return target
