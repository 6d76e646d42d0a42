"""The hourly roll-up, and the incidents that follow from it: kept up to date within the transaction of a batch.

Incidents are a function of what is stored, in whatever order it came. Series in which something happened lately are
followed in memory (:mod:`.incidents.follow`), so that a batch costs what it changes; one that is not is read whole. A
batch of clean findings where nothing has happened lately costs neither.

A collector that can't keep up puts the telling off (``more``), marked in the same transaction, so that it takes a tenth
of the time at most; the marks are worked off with the first batch after which no more is waiting.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable

import msgspec

from probe.collector import bulk, fared_table, homes_table
from probe.collector.cells import operator_key
from probe.collector.incidents import retold
from probe.collector.incidents.follow import Follow
from probe.collector.incidents.model import HOUR, Incident, Series
from probe.collector.incidents.retold import REACH, TECHNIQUES
from probe.collector.incidents.timeline import OUTAGE_LIKE
from probe.collector.instants import DAY
from probe.collector.outages import Outages
from probe.model.finding import Finding, Technique

REMEMBERED = 100_000
"""Most series in memory, at some 400 bytes each."""
FOLLOWED = 500_000
"""Most sights (a probe's hour in a series) in memory, at some 500 bytes each; who was used longest ago goes."""
SHARE = 0.1
"""Most of the time that telling one series may take while others are waiting."""
_BAD_AROUND = (
    "EXISTS (SELECT 1 FROM hourly h WHERE h.series = t.series AND h.what = t.what AND h.hour BETWEEN ?2 AND ?3"
    " AND h.what NOT IN ('clean', 'down', 'inconclusive'))"
)


_HOURS = f"({' + '.join(f'({{0}} >> {hour} & 1)' for hour in range(24))})"
"""How many hours of a day are set, in SQL's own arithmetic: a function of Python's would want the interpreter back."""
_ROWS = "SELECT hour, probe, what, n, first, last FROM hourly WHERE series = ? AND what IN ('clean', 'down', ?)"
_ROWS_OF_HOURS = f"{_ROWS} AND hour IN (SELECT value FROM json_each(?))"  # noqa: S608 - of this module


class Known:
    """What the writer remembers of the series. It has to forget all of it when a transaction fails."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, str, str, str], tuple[int, str, str]] = {}  # → id; group, operator as told
        self.follows: OrderedDict[tuple[int, Technique], Follow] = OrderedDict()  # the last used one last
        self.unseen: dict[tuple[int, Technique], set[int]] = {}  # of these, hours that have changed since
        self.costs: dict[tuple[int, Technique], tuple[float, float]] = {}  # when it was told last, seconds it took
        self.due = True  # whether marks may be in the table
        self.outages = Outages()

    def forget(self) -> None:
        """All of it."""
        self.series.clear()
        self.follows.clear()
        self.unseen.clear()
        self.costs.clear()
        self.due = True
        self.outages.forget()

    def changed(self, touched: Iterable[tuple[int, int]]) -> None:
        """These (series, hour) pairs have other rows now."""
        for pair in self.follows:
            self.unseen.setdefault(pair, set())
        hours: dict[int, set[int]] = {}
        for series, hour in touched:
            hours.setdefault(series, set()).add(hour)
        for pair, some in self.unseen.items():
            some |= hours.get(pair[0], set())

    def hasty(self, pair: tuple[int, Technique]) -> bool:
        """Whether it was told so lately that it would take more than its share of the time to tell it again."""
        at, seconds = self.costs.get(pair, (0.0, 0.0))
        return time.monotonic() < at + seconds / SHARE


def add(db: sqlite3.Connection, known: Known, findings: Iterable[tuple[Finding, int]]) -> set[tuple[int, int]]:
    """Count dated findings, each with its instant (ms); returns the (series, hour) pairs that they are of."""
    counts: dict[tuple[int, int, str, str], list[int]] = {}
    bad: set[tuple[int, str]] = set()
    for finding, at in findings:
        what: str = finding.verdict
        number = _number(db, known, finding)
        if what == "interfered" and finding.interference is not None:
            what = finding.interference.technique
            bad.add((number, what))
        key = number, at // HOUR * HOUR, finding.probe.id, what
        count = counts.get(key)
        if count is None:
            counts[key] = [1, at, at]
        else:
            count[:] = count[0] + 1, min(count[1], at), max(count[2], at)
    bulk.insert(
        db, "INTO hourly", [(*key, *count) for key, count in sorted(counts.items())],
        "ON CONFLICT (series, hour, probe, what)"
        " DO UPDATE SET n = n + excluded.n, first = min(first, excluded.first), last = max(last, excluded.last)",
    )  # fmt: skip
    days: Counter[tuple[int, int, str, str]] = Counter()
    fared: dict[tuple[int, int, str], tuple[int, int]] = {}
    for (number, hour, probe, what), (n, _, _) in counts.items():
        day, bit = hour // DAY * DAY, 1 << hour // HOUR % 24
        days[number, day, probe, what] += n
        if what not in ("down", "inconclusive"):
            seen, worse = fared.get((day, number, probe), (0, 0))
            fared[day, number, probe] = seen | bit, worse | (bit if what != "clean" else 0)
    bulk.insert(
        db, "INTO fared",
        [(*key, seen, worse, seen.bit_count(), worse.bit_count()) for key, (seen, worse) in sorted(fared.items())],
        "ON CONFLICT (day, series, probe) DO UPDATE SET seen = seen | excluded.seen, bad = bad | excluded.bad,"
        f" seen_hours = {_HOURS.format('(seen | excluded.seen)')}, bad_hours = {_HOURS.format('(bad | excluded.bad)')}",
    )  # fmt: skip
    fared_table.touch(db, {day for day, _, _ in fared})
    bulk.insert(
        db, "INTO daily", [(*key, n) for key, n in sorted(days.items())],
        "ON CONFLICT (series, day, probe, what) DO UPDATE SET n = n + excluded.n",
    )  # fmt: skip
    bulk.insert(db, "OR IGNORE INTO techniques", sorted(bad))
    return {(number, hour) for number, hour, _, _ in counts}


def _number(db: sqlite3.Connection, known: Known, finding: Finding) -> int:
    """The id of a finding's series."""
    line, target = finding.line, finding.target
    key = line.country, operator_key(line), line.access, finding.measurement, target.input
    series = known.series.get(key)
    if series is None or series[1:] != (target.group, line.operator):
        if len(known.series) > REMEMBERED:
            known.forget()
        (number,) = db.execute(
            "INSERT INTO series (country, operator, access, measurement, target, grouped, named)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (country, operator, access, measurement, target)"
            " DO UPDATE SET grouped = excluded.grouped, named = excluded.named RETURNING id",
            (*key, target.group, line.operator),
        ).fetchone()
        series = known.series[key] = number, target.group, line.operator
    return series[0]


def refresh(
    db: sqlite3.Connection, known: Known, touched: Collection[tuple[int, int]], control: Collection[str], *,
    own_homes: bool = False, more: bool = False,
) -> None:  # fmt: skip
    """Bring the incidents of these (series, hour) pairs up to date. ``control``: probes of the control vantage;
    ``own_homes``: probes of which the broker did not tell are homes of their own; ``more``: others are waiting, so
    what would take long may be put off."""
    known.changed(touched)
    known.outages.changed(db, touched)
    spans: dict[int, tuple[int, int]] = {}
    for series, hour in touched:
        low, high = spans.get(series, (hour, hour))
        spans[series] = min(low, hour), max(high, hour)
    concerned = {
        pair for series, (low, high) in spans.items()
        for pair in (*_concerned(db, series, low, high), *_elsewhere(db, series, low, high))
    }  # fmt: skip
    if known.due:
        concerned |= {(series, what) for series, what in db.execute("SELECT series, technique FROM due")}
    later = sorted(pair for pair in concerned if more and known.hasty(pair))
    if known.due:
        db.execute("DELETE FROM due")
    db.executemany("INSERT INTO due VALUES (?, ?)", later)
    known.due = bool(later)
    for pair in sorted(concerned.difference(later)):
        begun = time.monotonic()
        _refresh(db, known, *pair, control, own_homes=own_homes)
        ended = time.monotonic()
        known.costs[pair] = ended, ended - begun
    while sum(follow.size for follow in known.follows.values()) > FOLLOWED and len(known.follows) > 1:
        pair, _ = known.follows.popitem(last=False)
        known.unseen.pop(pair, None)


def _concerned(db: sqlite3.Connection, series: int, low: int, high: int) -> list[tuple[int, Technique]]:
    """The series with each technique of which there was anything around those hours, or of which an incident covers
    them."""
    rows = db.execute(
        f"SELECT what FROM techniques t WHERE series = ?1 AND ({_BAD_AROUND}"  # noqa: S608 - of this module
        " OR EXISTS (SELECT 1 FROM incidents i"
        " WHERE i.series = ?1 AND i.technique = t.what AND i.since <= ?3 AND i.until >= ?2))",
        (series, low - REACH, high + REACH),
    )
    return [(series, what) for (what,) in rows if what in TECHNIQUES]


def _elsewhere(db: sqlite3.Connection, series: int, low: int, high: int) -> list[tuple[int, Technique]]:
    """Other series of the same target that looked like an outage in those hours: what is found here tells them."""
    rows = db.execute(
        "SELECT t.series, t.what FROM series mine"  # noqa: S608 - of this module
        " JOIN series s ON s.measurement = mine.measurement AND s.target = mine.target AND s.id <> mine.id"
        f" JOIN techniques t ON t.series = s.id WHERE mine.id = ?1 AND {_BAD_AROUND}",
        (series, low - REACH, high + REACH),
    )
    return [(other, what) for other, what in rows if what in OUTAGE_LIKE]


def _refresh(
    db: sqlite3.Connection, known: Known, number: int, technique: Technique, control: Collection[str], *,
    own_homes: bool,
) -> None:  # fmt: skip
    follow = _follow(db, known, number, technique, control)
    failed = frozenset[int]()
    if technique in OUTAGE_LIKE:
        failed = known.outages.failing(db, follow.series, control, own_homes=own_homes)
    homes = homes_table.names(db, follow.first, own=own_homes)
    # No clock: what lasts is told up to the last word that there is, so that the same findings always tell the same.
    found = follow.incidents(now=follow.last + HOUR, failing=failed, prefix_of=homes)
    written = {
        row[0]: msgspec.json.decode(row[1], type=Incident)
        for row in db.execute(
            "SELECT id, body FROM incidents WHERE series = ? AND technique = ? ORDER BY since", (number, technique)
        )
    }
    changed, gone = retold.reconcile(written, found)
    for name, one in changed:
        _put(db, name, number, one)
    for name in gone:  # late deliveries have shown that it was none, or one with another
        db.execute("DELETE FROM incidents WHERE id = ?", (name,))
        _bump(db)


def _follow(
    db: sqlite3.Connection, known: Known, number: int, technique: Technique, control: Collection[str]
) -> Follow:
    """A series that has seen everything that there is of it."""
    pair = number, technique
    follow = known.follows.get(pair)
    if follow is None:
        follow = known.follows[pair] = Follow(_series(db, number, technique))
        rows = db.execute(_ROWS, (number, technique))
    else:
        known.follows.move_to_end(pair)
        hours = msgspec.json.encode(sorted(known.unseen.pop(pair, ()))).decode()
        rows = db.execute(_ROWS_OF_HOURS, (number, technique, hours))
    follow.see(retold.sights(rows, control))
    return follow


def _series(db: sqlite3.Connection, number: int, technique: Technique) -> Series:
    country, operator, access, measurement, target = db.execute(
        "SELECT country, operator, access, measurement, target FROM series WHERE id = ?", (number,)
    ).fetchone()
    return Series(country, operator, access, measurement, target, technique)


def _put(db: sqlite3.Connection, name: str, number: int, one: Incident) -> None:
    db.execute(
        "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (name, _bump(db), number, one.series.technique, one.state, one.began.until, retold.end(one),
         msgspec.json.encode(one)),
    )  # fmt: skip


def _bump(db: sqlite3.Connection) -> int:
    (change,) = db.execute(
        "INSERT INTO counters VALUES ('incident_change', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    ).fetchone()
    return int(change)
