"""One batch of messages on its way into the embedded store: what is gathered between BEGIN and COMMIT.

What a finding costs decides how many a second there can be, so that statements are made for many findings at a time,
and what is read again and again is remembered (by the one writer that there is).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from probe.collector import bulk, captures, heartbeats_table, homes_table, present, quarantine, retention, rollup
from probe.collector.cells import cell_name, column_key
from probe.collector.ingest import digest_of
from probe.collector.instants import DAY
from probe.collector.verdicts import (
    Connected,
    Introduction,
    Judged,
    NewEvidence,
    NewFinding,
    NewHeartbeat,
    Outcome,
    Presence,
    Rejected,
    Unheeded,
)
from probe.model.finding import Finding, Line

_NOTED = Outcome("noted")


class Memory:
    """What the writer remembers between batches. A transaction that fails, or another's, makes it worthless."""

    def __init__(self) -> None:
        self.present = present.Known()
        self.rollup = rollup.Known()
        self.columns: dict[Line, str] = {}
        self.keyed: set[str] = set()  # probes whose key is in the table
        self.thinned: int | None = None  # `retention.oldest`

    def forget(self) -> None:
        """All of it."""
        self.present.forget()
        self.rollup.forget()
        self.columns.clear()
        self.keyed.clear()
        self.thinned = None

    def cell(self, finding: Finding) -> str:
        """The key of a finding's cell (`cells.cell_key`)."""
        column = self.columns.get(finding.line)
        if column is None:
            if len(self.columns) > rollup.REMEMBERED:
                self.columns.clear()
            column = self.columns[finding.line] = column_key(finding.line)
        return cell_name(column, finding.measurement, finding.target.input)


class Batch:
    """``control``: probes of the control vantage; ``own_homes``: see :class:`~.sqlite_store.SqliteStore`."""

    def __init__(
        self, db: sqlite3.Connection, memory: Memory, control: Collection[str], *, own_homes: bool,
        forgotten: int | None = None,
    ) -> None:  # fmt: skip
        """``forgotten``: ms after which ids are; what was measured before is refused."""
        self._db, self._memory, self._control, self._own_homes = db, memory, control, own_homes
        self._forgotten = forgotten
        self._counts: Counter[str] = Counter()
        self._digests: dict[str, bytes] = {}  # of findings that are stored
        self._waiting: list[tuple[object, ...]] = []  # findings that are still to be inserted
        self._seen: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._news: dict[str, list[tuple[int, Finding]]] = {}  # by cell
        self._counted: set[tuple[int, int]] = set()  # (series, hour)
        self._rejecting: set[str] = set()  # probes with something new in quarantine

    def write(self, batch: Sequence[Judged], *, more: bool) -> list[Outcome]:
        """Everything, and what follows from it, save incidents that take long while there is ``more`` to come. Raises
        sqlite3.Error."""
        ids = [m.judgement.finding.id for m in batch if isinstance(m.judgement, NewFinding)]
        self._digests = dict(self._db.execute(
            "SELECT id, digest FROM findings WHERE id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(ids).decode(),),
        ))  # fmt: skip
        outcomes = [self._one(message) for message in batch]
        self._insert()
        self._counted |= rollup.add(
            self._db, self._memory.rollup, ((f, at) for some in self._news.values() for at, f in some)
        )
        present.refresh(self._db, self._memory.present, self._news)
        rollup.refresh(
            self._db, self._memory.rollup, self._counted, self._control, own_homes=self._own_homes, more=more
        )
        self._counts["rejects_dropped"] += quarantine.shrink(self._db, self._rejecting)
        self._db.executemany(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, value) for name, value in self._counts.items() if value],
        )
        return outcomes

    def _one(self, message: Judged) -> Outcome:
        judgement = message.judgement
        if isinstance(judgement, Connected):
            self._counted.update(homes_table.put(self._db, judgement.probe, judgement.home, message.received_at))
            return _NOTED
        if isinstance(judgement, Unheeded):
            return _NOTED
        self._counts["received"] += 1
        if isinstance(judgement, NewFinding):
            return self._finding(message, judgement)
        self._insert()
        match judgement:
            case NewEvidence():
                return self._evidence(message, judgement)
            case NewHeartbeat(heartbeat=one):
                self._heard({one.probe: message.received_at})
                dated = heartbeats_table.put(self._db, judgement, message.received_at)
                self._counts["heartbeats" if dated else "heartbeats_undated"] += 1
                return Outcome("stored", one.probe, one.id, answer=True)
            case Presence(probe=probe, online=online):
                self._heard({probe: message.received_at})
                self._db.execute("UPDATE probes SET online = ? WHERE id = ?", (online, probe))
                return _NOTED
            case Introduction(info=info, body=body):
                self._heard({info.probe: message.received_at})
                self._db.execute("UPDATE probes SET info = ? WHERE id = ?", (body, info.probe))
                return _NOTED
            case Rejected():
                return self._reject(message, judgement)

    def _finding(self, message: Judged, new: NewFinding) -> Outcome:
        f = new.finding
        probe = f.probe.id
        known = self._digests.get(f.id) or self._thinned(f.id, new.at)
        if known is not None:
            if not new.digest.startswith(known) and self._differs(f.id, new.digest):
                detail = f"{f.id} is stored with other content; the first one is kept"
                return self._reject(message, Rejected("same_id", detail, probe, f.id))
            self._counts["duplicate"] += 1
            return Outcome("duplicate", probe, f.id, answer=True)
        horizon = message.received_at - self._forgotten + DAY if self._forgotten is not None else 0
        if new.at is not None and new.at < horizon:
            detail = f"{f.id} was measured {f.started_at}, before what is remembered"
            return self._reject(message, Rejected("too_old", detail, probe, f.id))
        self._digests[f.id] = new.digest
        cell = self._memory.cell(f)
        self._waiting.append((
            f.id, cell, probe, f.measurement, f.verdict, f.interference and f.interference.technique, new.at,
            message.received_at, f.evidence.pcapng_sha256, new.digest, new.body,
        ))  # fmt: skip
        self._counts["stored"] += 1
        self._seen[probe] = max(message.received_at, self._seen.get(probe, 0))
        if new.key and probe not in self._memory.keyed:
            self._keys.setdefault(probe, new.key)
        if new.at is not None:
            self._news.setdefault(cell, []).append((new.at, f))
        else:
            self._counts["undated"] += 1
        return Outcome("stored", probe, f.id, answer=True)

    def _differs(self, finding_id: str, digest: bytes) -> bool:
        """Whether a stored finding has another content, too, if its digest is one of an older version's."""
        self._insert()
        row = self._db.execute("SELECT body FROM findings WHERE id = ?", (finding_id,)).fetchone()
        return row is None or digest_of(row[0]) != digest

    def _thinned(self, finding_id: str, at: int | None) -> bytes | None:
        """The digest's beginning of a finding that is kept no more."""
        if self._memory.thinned is None:
            self._memory.thinned = retention.oldest(self._db)
        if at is not None and at > self._memory.thinned:
            return None
        return retention.gone(self._db, finding_id)

    def _insert(self) -> None:
        """The findings that wait, the probes that sent them, and the captures that waited for them."""
        if not self._waiting:
            return
        bulk.insert(
            self._db,
            "INTO findings (id, cell, probe, measurement, verdict, technique, at, received_at, evidence_sha256, digest,"
            " body)",
            self._waiting,
        )
        self._heard(self._seen)
        self._db.executemany(
            "UPDATE probes SET key = ? WHERE id = ? AND key = ''", [(key, probe) for probe, key in self._keys.items()]
        )
        self._memory.keyed.update(self._keys)
        ids = msgspec.json.encode([row[0] for row in self._waiting]).decode()
        claimed = self._db.execute(
            "SELECT id, probe, evidence_sha256 FROM findings WHERE id IN"
            " (SELECT finding_id FROM evidence WHERE finding_id IN (SELECT value FROM json_each(?)) AND claimed = 0)"
            " ORDER BY seq",
            (ids,),
        ).fetchall()
        self._waiting, self._seen, self._keys = [], {}, {}
        for row in claimed:
            self._set_aside(captures.claim(self._db, *row))

    def _evidence(self, message: Judged, new: NewEvidence) -> Outcome:
        rejected = captures.put(self._db, new, message.received_at)
        if rejected is not None:
            return self._reject(message, rejected)
        self._set_aside(captures.surplus(self._db, new.probe))
        self._counts["evidence"] += 1
        return _NOTED

    def _set_aside(self, waiting: list[captures.SetAside]) -> None:
        for message, rejected in waiting:
            self._reject(message, rejected)

    def _reject(self, message: Judged, rejected: Rejected) -> Outcome:
        self._counts[f"rejected.{rejected.reason}"] += 1
        self._rejecting.add(rejected.probe)
        whole = quarantine.put(self._db, message, rejected)
        answer = whole and bool(rejected.finding_id)
        return Outcome("rejected", rejected.probe, rejected.finding_id, answer, rejected.reason)

    def _heard(self, seen: dict[str, int]) -> None:
        bulk.insert(
            self._db, "INTO probes (id, seen)", sorted(seen.items()),
            "ON CONFLICT (id) DO UPDATE SET seen = max(seen, excluded.seen)",
        )  # fmt: skip
