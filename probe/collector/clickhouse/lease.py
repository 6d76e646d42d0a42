"""Which of several collectors settles: a claim in the store, renewed while its holder lives.

ClickHouse has no compare-and-set. Each claimant writes since when it claims, by the server's clock, and reads the
claims of all: the one that claims for longest has it, once its claim is older than a write may take. So nobody acts on
a claim that an earlier one, still on its way, might beat. If a claimant's own write takes longer than that, it claims
anew. Two that hold it for a moment all the same do no harm: what they compute is the same (:mod:`settle`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.tables import insert

LASTS = 30_000
"""A claim that was not renewed for so long (ms) is over: its holder died."""
RENEWED = 5_000
SETTLED = 3_000
"""A claim younger than this (ms) gives nothing yet."""


class Claim(msgspec.Struct, frozen=True):
    """``since`` and ``until``: by the server's clock, ms."""

    holder: str
    since: int
    until: int


def holder_of(claims: list[Claim], now: int) -> str:
    """Who has it; empty: nobody yet."""
    living = [one for one in claims if one.until > now]
    first = min(living, key=lambda one: (one.since, one.holder), default=None)
    return first.holder if first is not None and now - first.since >= SETTLED else ""


class Lease:
    """One collector's. ``holder``: its name, another one for each process."""

    def __init__(
        self, link: Link, holder: str, tick: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock``: seconds, of any beginning."""
        self._link, self._holder, self._tick, self._clock = link, holder, tick, clock
        self._since = self._until = 0
        self._renewed = float("-inf")

    def held(self) -> bool:
        """Claim or renew, and look. Raises StoreError, and then it is not held."""
        now = self._now()
        if self._until <= now:  # it was forgotten for too long: others may have it
            self._forget()
        if self._clock() - self._renewed >= RENEWED / 1000:
            begun = self._clock()
            since = self._since or now
            self._write(since, now + LASTS)
            self._since, self._until, self._renewed = since, now + LASTS, begun
            if (self._clock() - begun) * 1000 >= SETTLED:
                self._forget()  # others may have looked before it was there: as if it had not been claimed yet
                return False
        claims = [
            Claim(*row) for row in self._link.rows(
                "sii", "SELECT holder, since, until FROM claims FINAL WHERE name = 'settle'"
            )
        ]  # fmt: skip
        return holder_of(claims, now) == self._holder

    def release(self) -> None:
        """Give it up, so that the next one need not wait. Raises StoreError."""
        if self._since:
            self._write(self._since, 0)
        self._forget()

    def _forget(self) -> None:
        self._since, self._until, self._renewed = 0, 0, float("-inf")

    def _now(self) -> int:
        ((seconds,),) = self._link.rows("i", "SELECT toInt64(toUnixTimestamp(now()))")
        return int(seconds) * 1000

    def _write(self, since: int, until: int) -> None:
        insert(self._link, "claims", [("settle", self._holder, since, until, self._tick())])
