"""The store in ClickHouse, writing side. Several collectors may write at the same time; each has one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from probe.collector.clickhouse import tables
from probe.collector.clickhouse.batch import Batch
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.marks import Marks
from probe.collector.homes import SECRET_BYTES
from probe.collector.verdicts import Judged, Outcome
from probe.model.errors import StoreError

REMEMBERED = 100_000
"""Most keys of probes that are kept in memory."""


class Ticker:
    """Numbers that grow: nanoseconds since the Unix epoch, never the same twice."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> int:
        self._last = max(time.time_ns(), self._last + 1)
        return self._last


class ClickHouseStore:
    """Implements :class:`probe.collector.store.Store`. What follows from it all is computed by :mod:`settle`."""

    def __init__(self, link: Link, *, pins: bool = True) -> None:
        """Brings the tables up to date. ``pins``: whether the first key seen for a probe is the only one believed.
        Raises StoreError."""
        self._link, self._pins = link, pins
        self._tick = Ticker()
        self._keys: dict[str, str] = {}
        tables.prepare(link)

    def commit(self, batch: Sequence[Judged], *, more: bool = False) -> list[Outcome]:  # noqa: ARG002 - see settle
        if not batch:
            return []
        if len(self._keys) > REMEMBERED:
            self._keys.clear()
        keys = dict(self._keys)  # what a batch learns counts once it is stored
        outcomes = Batch(self._link, self._tick, pins=self._pins, keys=keys).write(batch)
        self._keys = keys
        return outcomes

    def pinned_keys(self) -> dict[str, str]:
        return dict(self._link.rows("ss", "SELECT probe, text FROM probes FINAL WHERE what = 'key'"))

    def home_secret(self) -> bytes:
        marks = Marks(self._link, self._tick)
        if marks.secret() is None:
            marks.offer_secret(os.urandom(SECRET_BYTES))
        secret = marks.secret()
        if secret is None:
            raise StoreError(f"the store {self._link.database} does not give back what was written into it")
        return secret

    def close(self) -> None:
        self._link.close()
