"""What the store in ClickHouse lets go of: the same rules as the embedded one's, once a day, as mutations.

The narrow results, the roll-up and the incidents are kept, and nothing that they say changes. A mutation rewrites the
parts of a table that hold what goes, in the background and on each server by itself; so it is one for each table and
day, and which findings are meant is asked by the servers, not listed here. A finding that is delivered again after it
went is stored again, and counted once: its narrow row never left.
"""

from __future__ import annotations

from collections.abc import Callable

from probe.collector import instants
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.marks import SWEPT, THINNED, Marks
from probe.collector.clickhouse.rowbinary import literal
from probe.collector.heartbeats_table import BODIES
from probe.collector.retention import AROUND, Rules

EVERY = instants.DAY


class Sweeper:
    """Not for several threads; only the collector that settles has one at work. ``now`` in ms."""

    def __init__(self, link: Link, tick: Callable[[], int], kept: Rules, now: Callable[[], int]) -> None:
        self._link, self._marks, self._kept, self._now = link, Marks(link, tick), kept, now
        self._due = 0

    def sweep(self) -> None:
        """Let go of what is old, if that was a day ago. Raises StoreError."""
        now = self._now()
        if now < self._due:
            return
        self._due = self._marks.get(SWEPT) + EVERY
        if now < self._due:
            return
        kept, protected = self._kept, self._protected()
        for name, condition, age in (("clean", "verdict = 'clean'", kept.clean),
                                     ("other", "verdict <> 'clean'", kept.other)):
            if age is not None:
                self._thin(name, condition, now - age, protected)
        if kept.evidence is not None:
            but = f" AND finding_id NOT IN (SELECT id FROM {self._whole('results')} WHERE {protected})"
            self._mutate("evidence", f"DELETE WHERE received_at < {now - kept.evidence}{but if protected else ''}")
        if kept.rejects is not None:
            self._mutate("rejects", f"DELETE WHERE received_at < {now - kept.rejects}")
        if kept.heartbeats is not None:
            self._mutate("life", f"DELETE WHERE hour < {now - kept.heartbeats}")
        self._mutate("life", f"UPDATE body = '' WHERE hour < {now - BODIES} AND body <> ''")
        self._marks.set(SWEPT, now)
        self._due = now + EVERY

    def _thin(self, name: str, condition: str, before: int, protected: str) -> None:
        """Findings that came since the last time's ``before``: each is looked at once."""
        mark = f"{SWEPT}.{name}"
        since = self._marks.get(mark)
        if before <= since:
            return
        doomed = (
            f"SELECT id FROM {self._whole('results')} WHERE received_at >= {since} AND received_at < {before}"
            f" AND {condition}{f' AND NOT ({protected})' if protected else ''}"
            # The present state is read back from these.
            f" AND id GLOBAL NOT IN (SELECT finding_id FROM {self._whole('standings')} FINAL)"
            f" AND id GLOBAL NOT IN (SELECT finding_id FROM {self._whole('cells')} FINAL)"
        )
        self._marks.set(THINNED, max(before, self._marks.get(THINNED)))  # first: whoever searches must not miss them
        self._mutate("evidence", f"DELETE WHERE finding_id IN ({doomed})")
        self._mutate("findings", f"DELETE WHERE id IN ({doomed})")
        self._marks.set(mark, before)

    def _protected(self) -> str:
        """A condition on results: of an incident, or around one. Empty: there is no incident."""
        rows = self._link.rows("sii", "SELECT cell, since, until FROM incidents FINAL WHERE gone = 0")
        return " OR ".join(
            f"(cell = {literal(cell)} AND time BETWEEN {since - AROUND} AND {until + AROUND})"
            for cell, since, until in rows
        )

    def _whole(self, name: str) -> str:
        return f"{self._link.database}.{name}"

    def _mutate(self, name: str, change: str) -> None:
        local = f"{name}_local" if self._link.cluster else name
        for host in range(self._link.hosts):
            self._link.run(f"ALTER TABLE {self._whole(local)} {change}", host)
