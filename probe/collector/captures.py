"""The captures (pcapng) of findings in the embedded store: each one is held until a finding names its hash."""

from __future__ import annotations

import sqlite3

from probe.collector import instants
from probe.collector.verdicts import Judged, NewEvidence, Reason, Rejected

UNCLAIMED_PER_PROBE = 50
"""Most captures of a probe that may wait for their finding."""

SetAside = tuple[Judged, Rejected]
"""A capture that was taken out of the table, as a message again, with why."""

_Waiting = tuple[str, str, int, bytes]  # probe, sha256, received_at, packed


def put(db: sqlite3.Connection, new: NewEvidence, received_at: int) -> Rejected | None:
    """Keep a capture: claimed if its finding is stored and names its hash, waiting if the finding has not come."""
    row = db.execute("SELECT probe, evidence_sha256 FROM findings WHERE id = ?", (new.finding_id,)).fetchone()
    if row is not None and row != (new.probe, new.sha256):
        detail = f"finding {new.finding_id} names {row[1] or 'no capture'}, this one has {new.sha256}"
        return Rejected("other_evidence", detail, new.probe)
    db.execute(
        # While the finding has not come, the newest capture waits for it: an older one may be of a failed attempt.
        "INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (finding_id, probe) DO UPDATE"
        " SET sha256 = excluded.sha256, received_at = excluded.received_at, packed = excluded.packed WHERE claimed = 0",
        (new.finding_id, new.probe, new.sha256, received_at, row is not None, new.packed),
    )
    return None


def claim(db: sqlite3.Connection, finding_id: str, probe: str, sha256: str) -> list[SetAside]:
    """A finding came: the capture that waited for it is its evidence if probe and hash agree, else it is set aside."""
    aside = []
    waiting: list[_Waiting] = db.execute(
        "SELECT probe, sha256, received_at, packed FROM evidence WHERE finding_id = ?", (finding_id,)
    ).fetchall()
    for row in waiting:
        if row[:2] == (probe, sha256):
            db.execute("UPDATE evidence SET claimed = 1 WHERE finding_id = ? AND probe = ?", (finding_id, probe))
        else:
            detail = f"finding {finding_id} of {probe} names {sha256 or 'no capture'}, this one has {row[1]}"
            aside.append(_remove(db, finding_id, row, "other_evidence", detail))
    return aside


def surplus(db: sqlite3.Connection, probe: str) -> list[SetAside]:
    """Take out the oldest captures of a probe that wait in vain, beyond the bound."""
    rows = db.execute(
        "SELECT finding_id, probe, sha256, received_at, packed FROM evidence WHERE probe = ? AND claimed = 0"
        " ORDER BY received_at DESC, finding_id DESC LIMIT -1 OFFSET ?",
        (probe, UNCLAIMED_PER_PROBE),
    ).fetchall()
    return [
        _remove(db, finding_id, (owner, sha256, received_at, packed), "unclaimed_evidence", f"{finding_id} never came")
        for finding_id, owner, sha256, received_at, packed in rows
    ]


def set_aside(finding_id: str, packed: bytes, received_at: int, rejected: Rejected) -> SetAside:
    """A capture that was taken out, as a message again. ``received_at`` in ms."""
    topic = f"(evidence of {finding_id}, came {instants.to_text(received_at)})"
    return Judged(topic, packed, received_at, rejected), rejected


def _remove(db: sqlite3.Connection, finding_id: str, row: _Waiting, reason: Reason, detail: str) -> SetAside:
    probe, _, received_at, packed = row
    db.execute("DELETE FROM evidence WHERE finding_id = ? AND probe = ?", (finding_id, probe))
    return set_aside(finding_id, packed, received_at, Rejected(reason, detail, probe))
