"""The embedded store, writing side: a batch is one transaction, and the present state is kept within it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from probe.collector import captures, homes_table, present, quarantine, rollup
from probe.collector.cells import cell_key
from probe.collector.schema import open_writer, transaction
from probe.collector.verdicts import (
    Connected,
    Introduction,
    Judged,
    NewEvidence,
    NewFinding,
    Outcome,
    Presence,
    Rejected,
    Unheeded,
)
from probe.model.errors import StoreError

_NOTED = Outcome("noted")


class SqliteStore:
    """Implements :class:`probe.collector.store.Store`. ``on_commit`` is called after every commit, in this thread."""

    def __init__(
        self, path: str, on_commit: Callable[[], None] = lambda: None, control: Collection[str] = (), *,
        own_homes: bool = False,
    ) -> None:  # fmt: skip
        """``control``: probes of the control vantage; ``own_homes``: a probe whose prefix the broker does not tell
        is a home of its own. Raises StoreError."""
        self._db = open_writer(path)
        self._on_commit = on_commit
        self._control = frozenset(control)
        self._own_homes = own_homes

    def close(self) -> None:
        self._db.close()

    def pinned_keys(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT id, key FROM probes WHERE key <> ''"))

    def home_secret(self) -> bytes:
        try:
            return homes_table.secret(self._db)
        except sqlite3.Error as error:
            raise StoreError(f"the secret of the homes can't be read: {error}") from error

    def commit(self, batch: Sequence[Judged]) -> list[Outcome]:
        try:
            with transaction(self._db):
                outcomes = _Transaction(self._db, self._control, own_homes=self._own_homes).write(batch)
        except sqlite3.Error as error:
            raise StoreError(f"a batch of {len(batch)} messages could not be stored: {error}") from error
        self._on_commit()
        return outcomes


class _Transaction:
    """What a batch gathers between BEGIN and COMMIT."""

    def __init__(self, db: sqlite3.Connection, control: Collection[str], *, own_homes: bool) -> None:
        self._db, self._control, self._own_homes = db, control, own_homes
        self._counts: Counter[str] = Counter()
        self._touched: set[tuple[str, str]] = set()  # (cell, probe)
        self._counted: set[tuple[int, int]] = set()  # (series, hour)
        self._rejecting: set[str] = set()  # probes with something new in quarantine

    def write(self, batch: Sequence[Judged]) -> list[Outcome]:
        outcomes = [self._one(message) for message in batch]
        present.refresh(self._db, self._touched)
        rollup.refresh(self._db, self._counted, self._control, own_homes=self._own_homes)
        self._counts["rejects_dropped"] += quarantine.shrink(self._db, self._rejecting)
        self._db.executemany(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(name, value) for name, value in self._counts.items() if value],
        )
        return outcomes

    def _one(self, message: Judged) -> Outcome:
        match message.judgement:
            case Connected(probe=probe, home=home):
                self._counted.update(homes_table.put(self._db, probe, home, message.received_at))
                return _NOTED
            case Unheeded():
                return _NOTED
        self._counts["received"] += 1
        match message.judgement:
            case NewFinding() as new:
                return self._finding(message, new)
            case NewEvidence() as new:
                return self._evidence(message, new)
            case Presence(probe=probe, online=online):
                self._seen(probe, message.received_at)
                self._db.execute("UPDATE probes SET online = ? WHERE id = ?", (online, probe))
                return _NOTED
            case Introduction(info=info, body=body):
                self._seen(info.probe, message.received_at)
                self._db.execute("UPDATE probes SET info = ? WHERE id = ?", (body, info.probe))
                return _NOTED
            case Rejected() as rejected:
                return self._reject(message, rejected)

    def _finding(self, message: Judged, new: NewFinding) -> Outcome:
        f = new.finding
        probe = f.probe.id
        cell = cell_key(f)
        inserted = self._db.execute(
            "INSERT INTO findings (id, cell, probe, measurement, verdict, technique, at, received_at, evidence_sha256,"
            " digest, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (f.id, cell, probe, f.measurement, f.verdict, f.interference and f.interference.technique, new.at,
             message.received_at, f.evidence.pcapng_sha256, new.digest, new.body),
        )  # fmt: skip
        if not inserted.rowcount:
            (digest,) = self._db.execute("SELECT digest FROM findings WHERE id = ?", (f.id,)).fetchone()
            if digest != new.digest:
                detail = f"{f.id} is stored with other content; the first one is kept"
                return self._reject(message, Rejected("same_id", detail, probe, f.id))
            self._counts["duplicate"] += 1
            return Outcome("duplicate", probe, f.id, answer=True)
        self._counts["stored"] += 1
        self._seen(probe, message.received_at)
        if new.key:
            self._db.execute("UPDATE probes SET key = ? WHERE id = ? AND key = ''", (new.key, probe))
        if new.at is not None:
            self._touched.add((cell, probe))
            self._counted.add(rollup.add(self._db, f, new.at))
        else:
            self._counts["undated"] += 1
        self._set_aside(captures.claim(self._db, f.id, probe, f.evidence.pcapng_sha256))
        return Outcome("stored", probe, f.id, answer=True)

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

    def _seen(self, probe: str, at: int) -> None:
        self._db.execute(
            "INSERT INTO probes (id, seen) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET seen = max(seen, excluded.seen)",
            (probe, at),
        )
