"""One batch of messages on its way into ClickHouse: what is asked first, what is decided, what is written in the end.

There is no transaction. The journal comes last, and whatever dies before it makes the probe send again: what is there
by then is recognised by its id, and announced in the journal all the same. So everything that was answered is in the
journal, and what is written twice is there once (:mod:`tables`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from probe.collector.captures import set_aside
from probe.collector.cells import cell_key, operator_key
from probe.collector.clickhouse import bounds
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import listed
from probe.collector.clickhouse.tables import TABLES, insert
from probe.collector.heartbeats import life
from probe.collector.incidents.model import HOUR
from probe.collector.ingest import MAX_FINDING
from probe.collector.keyring import Keyring
from probe.collector.quarantine import HEAD
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

FIRST = 1 << 62
"""A version less than this by the time of writing lets the first one win, and this one over all of them."""
_NOTED = Outcome("noted")


class Touched(msgspec.Struct, frozen=True):
    """An entry of the journal: (cell, probe, hour) of dated findings; probes of which the broker told for the first
    time, and whether it was of anybody."""

    results: list[tuple[str, str, int]]
    homes: list[str] = []
    first_home: bool = False


class Known(msgspec.Struct, frozen=True):
    """A finding that is stored. ``at``: -1 if nobody knows when it was made."""

    probe: str
    at: int
    received_at: int
    sha256: str
    digest: bytes


class Batch:
    """``tick``: a number larger than all before; ``pins``: whether a probe's first key is the only one believed;
    ``keys``: probe → its pinned key, as far as known, kept between batches."""

    def __init__(self, link: Link, tick: Callable[[], int], *, pins: bool, keys: dict[str, str]) -> None:
        self._link, self._tick, self._pins, self._keys = link, tick, pins, keys
        self._keyring = Keyring({}, keys)
        self._counts: Counter[str] = Counter()
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._known: dict[str, Known] = {}
        self._captures: dict[str, list[tuple[str, str, int]]] = {}  # id → (probe, sha256, received_at) of those there
        self._seen: dict[str, int] = {}
        self._homes: dict[str, str] = {}
        self._results: set[tuple[str, str, int]] = set()
        self._told: list[str] = []
        self._first_home = False
        self._rejecting: set[str] = set()
        self._waited: set[str] = set()

    def write(self, batch: Sequence[Judged]) -> list[Outcome]:
        """Everything; durable when it returns. Raises StoreError."""
        self._ask(batch)
        outcomes = [self._one(message) for message in batch]
        self._rows["probes"] += [("seen", probe, at, "", at) for probe, at in self._seen.items()]
        self._insert("findings", "results", "series", "evidence", "waiting", "probes", "homes", "life")
        for message, rejected in bounds.surplus(self._link, self._waited):
            self._remove(message, rejected)
        self._insert("evidence", "waiting", "rejects")
        self._rows["rejects"] = bounds.shrink(self._link, self._rejecting)
        self._counts["rejects_dropped"] = len(self._rows["rejects"])
        self._rows["counters"] += [(name, value) for name, value in self._counts.items() if value]
        if self._results or self._told:
            touched = Touched(sorted(self._results), self._told, self._first_home)
            self._rows["journal"].append((f"{self._tick():020}", msgspec.json.encode(touched)))
        self._insert("rejects", "counters", "journal")
        return outcomes

    def _ask(self, batch: Sequence[Judged]) -> None:
        """What is known of what this batch is about."""
        judged = [message.judgement for message in batch]
        findings = [one for one in judged if isinstance(one, NewFinding)]
        ids = {one.finding.id for one in findings} | {one.finding_id for one in judged if isinstance(one, NewEvidence)}
        if ids:
            for finding_id, probe, at, received_at, sha256, digest, _ in sorted(self._link.rows(
                "ssiisbi", "SELECT id, probe, at, received_at, sha256, digest, kept FROM findings"
                f" WHERE id IN {listed(ids)}",
            ), key=lambda row: int(row[-1])):  # fmt: skip
                self._known[finding_id] = Known(probe, at, received_at, sha256, digest)
        new = {one.finding.id for one in findings} - self._known.keys()
        if new:
            for finding_id, probe, sha256, received_at in self._link.rows(
                "sssi", "SELECT finding_id, probe, sha256, received_at FROM evidence FINAL"
                f" WHERE finding_id IN {listed(new)} AND gone = 0",
            ):  # fmt: skip
                self._captures.setdefault(finding_id, []).append((probe, sha256, received_at))
        unknown = {one.finding.probe.id for one in findings} - self._keys.keys()
        if unknown:
            self._keys.update(self._link.rows(
                "ss", f"SELECT probe, text FROM probes FINAL WHERE what = 'key' AND probe IN {listed(unknown)}"
            ))  # fmt: skip
        self._keyring = Keyring({}, self._keys)  # within the batch, the subscriber has seen to it
        connected = {one.probe for one in judged if isinstance(one, Connected)}
        if connected:
            self._homes = {
                probe: home for probe, home, _ in sorted(self._link.rows(
                    "ssi", f"SELECT probe, home, since FROM homes WHERE probe IN {listed(connected)}"
                ), key=lambda row: int(row[-1]))
            }  # fmt: skip
            self._first_home = not self._homes and not self._link.rows("s", "SELECT probe FROM homes LIMIT 1")

    def _one(self, message: Judged) -> Outcome:
        match message.judgement:
            case Connected(probe=probe, home=home):
                self._connected(probe, home, message.received_at)
                return _NOTED
            case Unheeded():
                return _NOTED
        self._counts["received"] += 1
        match message.judgement:
            case NewFinding() as new:
                return self._finding(message, new)
            case NewEvidence() as evidence:
                return self._evidence(message, evidence)
            case NewHeartbeat() as beat:
                return self._heartbeat(message, beat)
            case Presence(probe=probe, online=online):
                self._hear(probe, message.received_at)
                self._rows["probes"].append(("online", probe, int(online), "", self._tick()))
                return _NOTED
            case Introduction(info=info, body=body):
                self._hear(info.probe, message.received_at)
                self._rows["probes"].append(("info", info.probe, 0, body, self._tick()))
                return _NOTED
            case Rejected() as rejected:
                return self._reject(message, rejected)

    def _finding(self, message: Judged, new: NewFinding) -> Outcome:
        f, probe = new.finding, new.finding.probe.id
        if self._pins:  # another collector may have heard the probe's first word
            refusal = self._keyring.objection(probe, new.key)
            if refusal is not None:
                return self._reject(message, Rejected(refusal.reason, refusal.detail, probe, f.id))
        known = self._known.get(f.id)
        if known is not None and known.digest != new.digest:
            detail = f"{f.id} is stored with other content; the first one is kept"
            return self._reject(message, Rejected("same_id", detail, probe, f.id))
        if known is not None:
            self._counts["duplicate"] += 1
            self._announce(new, known)
            self._introduce(probe, known.received_at, new.key)
            return Outcome("duplicate", probe, f.id, answer=True)
        at, sha256 = -1 if new.at is None else new.at, f.evidence.pcapng_sha256
        known = self._known[f.id] = Known(probe, at, message.received_at, sha256, new.digest)
        self._rows["findings"].append((
            f.id, probe, cell_key(f), at, message.received_at, sha256, new.digest, new.body, FIRST - message.received_at
        ))  # fmt: skip
        self._announce(new, known)
        self._counts["stored"] += 1
        self._counts["undated"] += new.at is None
        self._introduce(probe, message.received_at, new.key)
        for owner, other, received_at in self._captures.pop(f.id, ()):
            if (owner, other) == (probe, sha256):
                self._rows["waiting"].append((probe, f.id, sha256, received_at, 1, self._tick()))
            else:
                detail = f"finding {f.id} of {probe} names {sha256 or 'no capture'}, this one has {other}"
                self._remove((f.id, owner, other, received_at), Rejected("other_evidence", detail, owner))
        return Outcome("stored", probe, f.id, answer=True)

    def _announce(self, new: NewFinding, known: Known) -> None:
        """The finding's narrow row, and its place in the journal."""
        f, line = new.finding, new.finding.line
        cell = cell_key(f)
        dated = known.at >= 0
        hour = known.at // HOUR * HOUR if dated else -1
        what = f.interference.technique if f.verdict == "interfered" and f.interference else f.verdict
        self._rows["results"].append((
            cell, hour, known.probe, known.at, f.id, f.verdict, what, known.at if dated else known.received_at,
            known.received_at, f.measurement,
        ))  # fmt: skip
        if dated:
            self._results.add((cell, known.probe, hour))
            self._rows["series"].append((
                cell, line.country, operator_key(line), line.access, f.measurement, f.target.input, f.target.group,
                line.operator, self._tick(),
            ))  # fmt: skip

    def _evidence(self, message: Judged, new: NewEvidence) -> Outcome:
        known = self._known.get(new.finding_id)
        if known is not None and (known.probe, known.sha256) != (new.probe, new.sha256):
            detail = f"finding {new.finding_id} names {known.sha256 or 'no capture'}, this one has {new.sha256}"
            return self._reject(message, Rejected("other_evidence", detail, new.probe))
        key = new.probe, new.sha256, message.received_at
        self._rows["evidence"].append((new.finding_id, *key, new.packed, 0, self._tick()))
        if known is None:
            self._rows["waiting"].append((new.probe, new.finding_id, new.sha256, message.received_at, 0, self._tick()))
            self._captures.setdefault(new.finding_id, []).append(key)
            self._waited.add(new.probe)
        self._counts["evidence"] += 1
        return _NOTED

    def _heartbeat(self, message: Judged, new: NewHeartbeat) -> Outcome:
        one = new.heartbeat
        self._hear(one.probe, message.received_at)
        self._counts["heartbeats_undated" if new.at is None else "heartbeats"] += 1
        if new.at is not None:
            hour, proven = life(one, new.at, message.received_at)
            self._rows["life"].append((
                one.probe, hour, one.id, proven.alive, proven.prompt, proven.busy, proven.linked, new.body
            ))  # fmt: skip
        return Outcome("stored", one.probe, one.id, answer=True)

    def _connected(self, probe: str, home: str, at: int) -> None:
        known = self._homes.get(probe)
        if known == home:
            return
        if known is None:
            self._told.append(probe)
        self._homes[probe] = home
        self._rows["homes"].append((probe, at, home))

    def _remove(self, capture: tuple[str, str, str, int], rejected: Rejected) -> None:
        """Take a capture out, and put it in quarantine."""
        finding_id, probe, sha256, received_at = capture
        packed = [row[4] for row in self._rows["evidence"] if row[:3] == (finding_id, probe, sha256)] or [
            packed for (packed,) in self._link.rows(
                "b", "SELECT packed FROM evidence FINAL WHERE (finding_id, probe, sha256) IN"
                f" {listed([(finding_id, probe, sha256)])} AND gone = 0",
            )
        ]  # fmt: skip
        self._rows["evidence"].append((finding_id, probe, sha256, received_at, b"", 1, self._tick()))
        self._rows["waiting"].append((probe, finding_id, sha256, received_at, 1, self._tick()))
        for some in packed[:1]:
            self._reject(*set_aside(finding_id, some, received_at, rejected))

    def _reject(self, message: Judged, rejected: Rejected) -> Outcome:
        self._counts[f"rejected.{rejected.reason}"] += 1
        self._rejecting.add(rejected.probe)
        payload = message.payload
        whole = len(payload) <= MAX_FINDING
        kept = payload if whole else payload[:HEAD]
        topic = message.topic[:1024]
        now = self._tick()
        digest = hashlib.sha256(topic.encode() + b"\0" + hashlib.sha256(payload).digest()).hexdigest()
        self._rows["rejects"].append((
            digest, now, message.received_at, topic, rejected.probe, rejected.reason, rejected.detail, len(payload),
            len(kept), kept, 0, FIRST - now,
        ))  # fmt: skip
        answer = whole and bool(rejected.finding_id)
        return Outcome("rejected", rejected.probe, rejected.finding_id, answer, rejected.reason)

    def _introduce(self, probe: str, at: int, key: str) -> None:
        self._hear(probe, at)
        if key and probe not in self._keys:
            self._keys[probe] = key
            self._rows["probes"].append(("key", probe, 0, key, FIRST - self._tick()))

    def _hear(self, probe: str, at: int) -> None:
        self._seen[probe] = max(at, self._seen.get(probe, 0))

    def _insert(self, *tables: str) -> None:
        for name in tables:
            insert(self._link, name, self._rows[name])
            self._rows[name] = []
