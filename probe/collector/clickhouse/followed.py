"""What is told of again and again, followed in memory: a pass reads the hours that changed and not all that there is.

One who tells alone knows of every change: it is what the journal announces. After another collector told
(`Followed.forget`), and for what is not in memory, the whole roll-up of a series is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import chunks, listed
from probe.collector.clickhouse.shelf import Shelf
from probe.collector.incidents import retold
from probe.collector.incidents.follow import Follow
from probe.collector.incidents.follow_outage import FollowOutage
from probe.collector.incidents.homes import Stay, together
from probe.collector.incidents.model import Series
from probe.model.finding import Access, Technique

ROOM = 1_000_000
"""Most hours of probes in memory, at some 500 bytes each (of a target: 150)."""
_AT_ONCE = 5000  # places in a query
_WORST = (
    "SELECT cell, hour, probe, toInt64(max(multiIf(what = 'clean', 0, what = 'down', 1, 2))) FROM hourly"
    " WHERE {} AND what <> 'inconclusive' GROUP BY cell, hour, probe"
)

Pair = tuple[str, Technique]
"""Cell and technique: a series."""
Subject = tuple[str, str]
"""Measurement and target."""
Row = tuple[int, str, str, int, int, int]
"""(hour, probe, what, n, first, last)."""


class Kind(msgspec.Struct, frozen=True):
    """A series without its technique, as the table has it."""

    country: str
    operator: str
    access: Access
    measurement: str
    target: str

    @property
    def subject(self) -> Subject:
        """What is measured."""
        return self.measurement, self.target


class Followed:
    """Not for several threads; what asks the store raises StoreError. ``control``: probes of the control vantage."""

    def __init__(self, link: Link, control: Collection[str], *, own_homes: bool) -> None:
        self._link, self._control, self._own_homes = link, frozenset(control), own_homes
        self._series = Shelf[Pair, Follow](ROOM)
        self._outages = Shelf[tuple[str, Subject], FollowOutage](ROOM)
        # Of what is in memory: hours of a cell that have changed since it was looked at.
        self._unseen: dict[Pair, set[int]] = {}
        self._unheard: dict[tuple[str, Subject], set[tuple[str, int]]] = {}

    def forget(self) -> None:
        """Somebody else told until now."""
        for shelf in (self._series, self._outages):
            shelf.clear()
        self._unseen.clear()
        self._unheard.clear()

    def changed(self, touched: Mapping[str, Collection[int]], kinds: Mapping[str, Kind]) -> None:
        """These hours of these cells have other rows now."""
        for pair in self._series:
            if pair[0] in touched:
                self._unseen.setdefault(pair, set()).update(touched[pair[0]])
        cells: dict[Subject, list[str]] = {}
        for cell in touched:
            cells.setdefault(kinds[cell].subject, []).append(cell)
        for key in self._outages:
            for cell in cells.get(key[1], ()):
                self._unheard.setdefault(key, set()).update((cell, hour) for hour in touched[cell])

    def series(self, wanted: Collection[Pair], kinds: Mapping[str, Kind]) -> dict[Pair, Follow]:
        """Each having seen all that there is of it. Raises StoreError."""
        found: dict[Pair, Follow] = {}
        new: dict[Pair, Follow] = {}
        for pair in wanted:
            known = self._series.get(pair)
            if known is None:
                kind = kinds[pair[0]]
                known = new[pair] = Follow(Series(
                    kind.country, kind.operator, kind.access, kind.measurement, kind.target, pair[1]
                ))  # fmt: skip
            found[pair] = known
        if new:
            self._read(new, f"cell IN {listed({cell for cell, _ in new})}")
        behind = {pair: found[pair] for pair in wanted if self._unseen.get(pair) and pair not in new}
        places = sorted({(cell, hour) for cell, technique in behind for hour in self._unseen[cell, technique]})
        for some in chunks(places, _AT_ONCE):
            self._read(behind, f"(cell, hour) IN {listed(some)}")
        for pair in wanted:
            self._unseen.pop(pair, None)
        for pair, follow in new.items():
            self._series.put(pair, follow)
        return found

    def _read(self, follows: Mapping[Pair, Follow], where: str) -> None:
        whats = listed(sorted({"clean", "down", *(technique for _, technique in follows)}))
        hourly: dict[str, list[Row]] = {cell: [] for cell, _ in follows}
        for cell, *row in self._link.rows(
            "sissiii", "SELECT cell, hour, probe, what, n, first, last FROM hourly FINAL"
            f" WHERE {where} AND what IN {whats}",
        ):  # fmt: skip
            if cell in hourly:
                hourly[cell].append((row[0], row[1], row[2], row[3], row[4], row[5]))
        for (cell, technique), follow in follows.items():
            follow.see(retold.sights(
                (row for row in hourly[cell] if row[2] in ("clean", "down", technique)), self._control
            ))  # fmt: skip

    def failing(
        self, everywhere: Mapping[str, Kind], countries: Iterable[tuple[str, Subject]], stays: Collection[Stay]
    ) -> dict[tuple[str, Subject], frozenset[int]]:
        """(country, subject) → hours in which it failed for everybody. ``everywhere``: all cells of these subjects.
        Raises StoreError."""
        cells: dict[Subject, list[str]] = {}
        for cell, kind in everywhere.items():
            cells.setdefault(kind.subject, []).append(cell)
        found = {}
        for key in countries:
            country, subject = key
            one = self._outages.get(key)
            if one is None:
                one = FollowOutage(country, self._control)
                self._hear(one, everywhere, f"cell IN {listed(sorted(cells[subject]))}")
                self._outages.put(key, one)
            else:
                for some in chunks(sorted(self._unheard.get(key, ())), _AT_ONCE):
                    self._hear(one, everywhere, f"(cell, hour) IN {listed(some)}")
            self._unheard.pop(key, None)
            homes = together(one.first, stays, own=self._own_homes) if stays else {}
            found[key] = one.failing(homes)
        return found

    def _hear(self, one: FollowOutage, everywhere: Mapping[str, Kind], where: str) -> None:
        one.see(
            (everywhere[cell].country, hour, probe, worst)
            for cell, hour, probe, worst in self._link.rows("sisi", _WORST.format(where))
        )

    def trim(self) -> None:
        """A pass is over: let go of what there is no room for."""
        for pair in self._series.trim():
            self._unseen.pop(pair, None)
        for key in self._outages.trim():
            self._unheard.pop(key, None)
