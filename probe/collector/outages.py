"""How targets fare with everybody, followed in memory beside the embedded store: which hours failed for all of them.

A batch reads the hours that it changed; what is not in memory is read whole (:mod:`.incidents.follow_outage`).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Collection, Iterable

import msgspec

from probe.collector import homes_table
from probe.collector.incidents.follow_outage import FollowOutage
from probe.collector.incidents.model import Series

FOLLOWED = 500_000
"""Most hours of probes in memory, at some 150 bytes each; what was asked for longest ago goes."""
_ROWS = (
    "SELECT s.country, h.hour, h.probe, max(CASE h.what WHEN 'clean' THEN 0 WHEN 'down' THEN 1 ELSE 2 END)"
    " FROM hourly h JOIN series s ON s.id = h.series WHERE {} AND h.what <> 'inconclusive' GROUP BY 1, 2, 3"
)
_ALL = _ROWS.format("s.measurement = ? AND s.target = ?")
# Of all series of the target: the worst of an hour is that of everything that a probe found in it.
_SOME = _ROWS.format("s.measurement = ? AND s.target = ? AND h.hour IN (SELECT value FROM json_each(?))")

Key = tuple[str, str, str]
"""(country, measurement, target)."""


class Outages:
    """What the writer remembers. It has to forget all of it when a transaction fails. ``room``: as :data:`FOLLOWED`."""

    def __init__(self, room: int = FOLLOWED) -> None:
        self._room = room
        self._follows: OrderedDict[Key, FollowOutage] = OrderedDict()  # the last used one last
        self._unheard: dict[Key, set[int]] = {}  # of these, hours that have changed since
        self._subjects: dict[int, tuple[str, str]] = {}  # series → measurement, target; as long as any is followed

    def forget(self) -> None:
        """All of it."""
        self._follows.clear()
        self._unheard.clear()
        self._subjects.clear()

    def changed(self, db: sqlite3.Connection, touched: Iterable[tuple[int, int]]) -> None:
        """These (series, hour) pairs have other rows now. Raises sqlite3.Error."""
        if not self._follows:
            return
        hours: dict[tuple[str, str], set[int]] = {}
        for series, hour in touched:
            hours.setdefault(self._subject(db, series), set()).add(hour)
        for key in self._follows:
            self._unheard.setdefault(key, set()).update(hours.get(key[1:], ()))

    def failing(
        self, db: sqlite3.Connection, series: Series, control: Collection[str], *, own_homes: bool
    ) -> frozenset[int]:
        """Hours in which it failed for everybody, of those in which it was bad here. ``control``: always the same.
        Raises sqlite3.Error."""
        key = series.country, series.measurement, series.target
        follow = self._follows.get(key)
        if follow is None:
            follow = self._follows[key] = FollowOutage(series.country, control)
            follow.see(db.execute(_ALL, key[1:]))
        else:
            self._follows.move_to_end(key)
            if unheard := self._unheard.get(key):
                follow.see(db.execute(_SOME, (*key[1:], msgspec.json.encode(sorted(unheard)).decode())))
        self._unheard.pop(key, None)
        self._trim()
        return follow.failing(homes_table.names(db, follow.first, own=own_homes))

    def _subject(self, db: sqlite3.Connection, series: int) -> tuple[str, str]:
        found = self._subjects.get(series)
        if found is None:
            (found,) = db.execute("SELECT measurement, target FROM series WHERE id = ?", (series,)).fetchall()
            self._subjects[series] = found
        return found

    def _trim(self) -> None:
        while sum(follow.size for follow in self._follows.values()) > self._room and len(self._follows) > 1:
            key, _ = self._follows.popitem(last=False)
            self._unheard.pop(key, None)
