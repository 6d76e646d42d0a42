"""Incidents, told wherever something moved, by the pure logic in `probe.collector.incidents`.

A series goes on from what was told of it (:mod:`followed`): a pass reads the hours that it changed, however long an
incident lasts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from probe.collector.clickhouse.followed import Followed, Kind, Pair, Subject
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import chunks, listed
from probe.collector.clickhouse.tables import insert
from probe.collector.homes_table import END, MOST
from probe.collector.incidents import retold
from probe.collector.incidents.follow import Follow
from probe.collector.incidents.homes import Stay, together
from probe.collector.incidents.model import HOUR, Incident
from probe.collector.incidents.retold import REACH, TECHNIQUES
from probe.collector.incidents.timeline import OUTAGE_LIKE

_GOOD = "('clean', 'down', 'inconclusive')"
_AT_ONCE = 50
"""Series that are told at a time: what is read of them is in memory twice meanwhile."""
_INCIDENT = msgspec.json.Decoder(Incident)

class Telling:
    """Not for several threads. ``control``: probes of the control vantage."""

    def __init__(self, link: Link, control: Collection[str], *, own_homes: bool) -> None:
        self._link, self._own_homes = link, own_homes
        self._followed = Followed(link, control, own_homes=own_homes)
        self._change = 0

    def begin(self) -> None:
        """Somebody else told until now."""
        ((self._change,),) = self._link.rows("i", "SELECT max(change) FROM incidents")
        self._followed.forget()

    def moved(self, probes: Collection[str], *, everybody: bool) -> list[tuple[str, int]]:
        """(cell, hour) of what has to be told anew since it is known behind which prefix these probes are."""
        # Of a target with which anybody found interference: what looks like an outage is told by those elsewhere.
        interfered = (
            "cell GLOBAL IN (SELECT cell FROM series WHERE (measurement, target) GLOBAL IN"
            " (SELECT measurement, target FROM series WHERE cell GLOBAL IN"
            f" (SELECT cell FROM hourly WHERE what NOT IN {_GOOD})))"
        )
        mine = "1" if everybody else f"probe IN {listed(probes)}"
        rows = self._link.rows(
            "sii", f"SELECT cell, min(hour), max(hour) FROM hourly WHERE {interfered} AND {mine} GROUP BY cell"
        )
        return [(cell, hour) for cell, *hours in rows for hour in hours]

    def refresh(self, touched: Iterable[tuple[str, int]]) -> None:
        """Bring the incidents of these (cell, hour) pairs up to date. Raises StoreError."""
        hours: dict[str, set[int]] = {}
        for cell, hour in touched:
            hours.setdefault(cell, set()).add(hour)
        if not hours:
            return
        # All cells of the same targets: what is found in one tells others, where it looks like an outage.
        kinds = self._kinds(
            "(measurement, target) GLOBAL IN"
            f" (SELECT measurement, target FROM series WHERE cell IN {listed(hours)})"
        )
        self._followed.changed(hours, kinds)
        spans = {cell: (min(some), max(some)) for cell, some in hours.items()}
        concerned = self._concerned(spans, kinds)
        if concerned:
            stays = stays_of(self._link)
            for some in chunks(sorted(concerned), _AT_ONCE):
                self._tell(some, kinds, stays)
        self._followed.trim()

    def _concerned(self, spans: Mapping[str, tuple[int, int]], kinds: Mapping[str, Kind]) -> set[Pair]:
        """The series with each technique of which there was anything around those hours, or of which an incident
        covers them; and others of the same target that looked like an outage then."""
        found = set[Pair]()
        touched: dict[Subject, list[str]] = {}
        for cell in spans:
            touched.setdefault(kinds[cell].subject, []).append(cell)
        low, high = min(a for a, _ in spans.values()) - REACH, max(b for _, b in spans.values()) + REACH
        for name, what, hour in self._link.rows(
            "ssi", f"SELECT DISTINCT cell, what, hour FROM hourly WHERE cell IN {listed(kinds)}"
            f" AND what NOT IN {_GOOD} AND hour BETWEEN {low} AND {high}",
        ):  # fmt: skip
            if what not in TECHNIQUES or (name, what) in found:
                continue
            by = touched[kinds[name].subject] if what in OUTAGE_LIKE else [name] if name in spans else []
            if any(spans[one][0] - REACH <= hour <= spans[one][1] + REACH for one in by):
                found.add((name, what))
        for cell, technique, since, until in self._link.rows(
            "ssii", "SELECT cell, technique, since, until FROM incidents FINAL"
            f" WHERE cell IN {listed(spans)} AND gone = 0",
        ):  # fmt: skip
            low, high = spans[cell]
            if since <= high + REACH and until >= low - REACH:
                found.add((cell, technique))
        return found

    def _kinds(self, where: str) -> dict[str, Kind]:
        rows = self._link.rows(
            "ssssss", f"SELECT cell, country, operator, access, measurement, target FROM series FINAL WHERE {where}"
        )
        return {cell: Kind(*parts) for cell, *parts in rows}

    def _tell(self, pairs: Collection[Pair], kinds: Mapping[str, Kind], stays: Collection[Stay]) -> None:
        cells = {cell for cell, _ in pairs}
        known: dict[Pair, dict[str, Incident]] = {}
        for incident_id, cell, technique, body in self._link.rows(
            "sssb", "SELECT id, cell, technique, body FROM incidents FINAL"
            f" WHERE cell IN {listed(sorted(cells))} AND gone = 0 ORDER BY since",
        ):  # fmt: skip
            known.setdefault((cell, technique), {})[incident_id] = _INCIDENT.decode(body)
        outage_like = {
            cell: (kinds[cell].country, kinds[cell].subject) for cell, technique in pairs if technique in OUTAGE_LIKE
        }
        failing = self._followed.failing(kinds, set(outage_like.values()), stays)
        rows = list[tuple[object, ...]]()
        for pair, follow in self._followed.series(pairs, kinds).items():
            cell, technique = pair
            failed = failing[outage_like[cell]] if technique in OUTAGE_LIKE else frozenset[int]()
            rows += self._reconcile(cell, follow, failed, stays, known.get(pair, {}))
        insert(self._link, "incidents", rows)

    def _reconcile(
        self, cell: str, follow: Follow, failed: frozenset[int], stays: Collection[Stay],
        known: Mapping[str, Incident],
    ) -> list[tuple[object, ...]]:  # fmt: skip
        homes = together(follow.first, stays, own=self._own_homes) if stays else {}  # the broker told of nobody
        # No clock: what lasts is told up to the last word that there is: the same findings always tell the same.
        found = follow.incidents(now=follow.last + HOUR, failing=failed, prefix_of=homes)
        changed, gone = retold.reconcile(known, found)
        technique, rows = follow.series.technique, list[tuple[object, ...]]()
        for name, one in changed:
            self._change += 1
            rows.append((
                name, cell, technique, one.state, one.began.until, retold.end(one), msgspec.json.encode(one), 0,
                self._change,
            ))  # fmt: skip
        for name in gone:  # late deliveries have shown that it was none, or one with another
            self._change += 1
            rows.append((name, cell, technique, "", 0, 0, b"", 1, self._change))
        return rows


def stays_of(link: Link) -> list[Stay]:
    """Behind which prefixes the probes were, and when; a probe was behind its first one before, too, as far as anybody
    knows. Raises StoreError."""
    rows = link.rows("sis", f"SELECT probe, since, home FROM homes ORDER BY since DESC LIMIT {MOST} BY probe")
    by_probe: dict[str, list[tuple[int, str]]] = {}
    for probe, since, home in rows:
        by_probe.setdefault(probe, []).append((since, home))
    found = []
    for probe, some in by_probe.items():
        some.sort()
        ends = [since for since, _ in some[1:]] + [END]
        found += [
            Stay(probe, home, since if number else 0, end)
            for number, ((since, home), end) in enumerate(zip(some, ends, strict=True))
        ]
    return found
