"""What was read of each counter, and what is known of the servers that were asked. Times in ms."""

from __future__ import annotations

import msgspec

from probe.collector.beside import Beside
from probe.collector.counters.numbers import Count


class Reading(msgspec.Struct, frozen=True):
    """The number at an instant; ``step``: what the page rounds it to."""

    at: int
    value: int
    step: int = 1


class Page(msgspec.Struct, frozen=True):
    """What is remembered of a page: its validators (RFC 9110, 8.8), when it is due, and what went wrong."""

    etag: str = ""
    modified: str = ""
    next_at: int = 0
    failures: int = 0
    trouble: str = ""


class Host(msgspec.Struct, frozen=True):
    """What is remembered of a server. ``robots``: its robots.txt; None where none was asked for yet."""

    asked_at: int = 0
    wait_until: int = 0
    robots: str | None = None
    robots_at: int = 0


class Ledger(Beside):
    """May be used from several threads. Every call raises StoreError."""

    trouble = "the counters can't be read or written"

    def readings(self, counter: str, since: int) -> list[Reading]:
        """Those from an instant on, oldest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT at, value, step FROM counter_readings WHERE counter = ? AND at >= ? ORDER BY at",
                (counter, since),
            ).fetchall()
        return [Reading(*row) for row in rows]

    def last(self, counter: str) -> Reading | None:
        """The newest."""
        with self._reading() as db:
            row = db.execute(
                "SELECT at, value, step FROM counter_readings WHERE counter = ? ORDER BY at DESC LIMIT 1", (counter,)
            ).fetchone()
        return Reading(*row) if row else None

    def page(self, counter: str, source: str) -> Page:
        """What is known of a counter's page; nothing, if it was another ``source``."""
        with self._reading() as db:
            row = db.execute(
                "SELECT etag, modified, next_at, failures, trouble FROM counter_pages WHERE counter = ? AND source = ?",
                (counter, source),
            ).fetchone()
        return Page(*row) if row else Page()

    def put(self, counter: str, source: str, page: Page, at: int, count: Count | None = None) -> None:
        """Remember what came of asking at an instant, and the number that was read, if any."""
        with self._writing() as db:
            if count is not None:
                db.execute(
                    "INSERT OR REPLACE INTO counter_readings VALUES (?, ?, ?, ?)",
                    (counter, at, count.value, count.step),
                )
            db.execute(
                "INSERT OR REPLACE INTO counter_pages VALUES (?, ?, ?, ?, ?, ?, ?)",
                (counter, source, page.etag, page.modified, page.next_at, page.failures, page.trouble),
            )

    def host(self, host: str) -> Host:
        """What is known of a server."""
        with self._reading() as db:
            row = db.execute(
                "SELECT asked_at, wait_until, robots, robots_at FROM counter_hosts WHERE host = ?", (host,)
            ).fetchone()
        return Host(*row) if row else Host()

    def put_host(self, host: str, known: Host) -> None:
        """Remember a server."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO counter_hosts VALUES (?, ?, ?, ?, ?)",
                (host, known.asked_at, known.wait_until, known.robots, known.robots_at),
            )
