"""What keeps a broken or hostile probe from filling the store: captures that wait in vain, and the quarantine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from probe.collector import captures, quarantine
from probe.collector.clickhouse.link import Link
from probe.collector.clickhouse.rowbinary import listed
from probe.collector.verdicts import Rejected

DROPPED = 1 << 62
"""Version of a reject that was dropped: it wins over the one that was kept."""

Capture = tuple[str, str, str, int]
"""finding id, probe, sha256, received at (ms)."""


def surplus(link: Link, probes: Collection[str]) -> list[tuple[Capture, Rejected]]:
    """The oldest captures of these probes that wait for their finding, beyond the bound. Raises StoreError."""
    found: list[Capture] = []
    for probe in sorted(probes):
        rows = link.rows(
            "ssi", "SELECT finding_id, sha256, received_at FROM waiting FINAL"
            f" WHERE probe IN {listed([probe])} AND gone = 0",
        )  # fmt: skip
        rows.sort(key=lambda row: (row[2], row[0]), reverse=True)
        found += [(one, probe, sha256, at) for one, sha256, at in rows[captures.UNCLAIMED_PER_PROBE:]]
    if not found:
        return []
    # One whose finding came while a collector died waits in the table alone.
    claimed = set(link.rows(
        "sss", f"SELECT id, probe, sha256 FROM findings WHERE id IN {listed({one[0] for one in found})}"
    ))  # fmt: skip
    return [
        (one, Rejected("unclaimed_evidence", f"{one[0]} never came", one[1]))
        for one in found if one[:3] not in claimed
    ]  # fmt: skip


def shrink(link: Link, probes: Collection[str]) -> list[tuple[Any, ...]]:
    """Rows for the quarantine by which the oldest of these probes', and then of all, are gone, down to the bounds of
    :mod:`probe.collector.quarantine`. Raises StoreError."""
    if not probes:
        return []
    doomed: dict[str, int] = {}
    for probe in sorted(probes):
        rows = _sizes(link, f"probe IN {listed([probe])}")
        doomed.update(_oldest(rows, quarantine.PROBE_ROWS, quarantine.PROBE_BYTES))
    ((size,),) = link.rows("i", "SELECT sum(kept) FROM rejects WHERE gone = 0")
    if size > quarantine.ALL_BYTES:
        rows = [row for row in _sizes(link, "1") if row[0] not in doomed]
        doomed.update(_oldest(rows, len(rows), quarantine.ALL_BYTES))
    return [
        (digest, seq, 0, "", "", "", "", 0, 0, b"", 1, DROPPED) for digest, seq in doomed.items()
    ]


def _sizes(link: Link, where: str) -> list[tuple[str, int, int]]:
    """(digest, sequence, bytes kept), oldest first."""
    rows: list[tuple[str, int, int]] = link.rows(
        "sii", f"SELECT digest, seq, kept FROM rejects FINAL WHERE {where} AND gone = 0 ORDER BY seq"
    )
    return rows


def _oldest(rows: list[tuple[str, int, int]], most: int, most_bytes: int) -> dict[str, int]:
    size, doomed = sum(kept for *_, kept in rows), dict[str, int]()
    for number, (digest, seq, kept) in enumerate(rows):
        if len(rows) - number <= most and size <= most_bytes:
            break
        size -= kept
        doomed[digest] = seq
    return doomed
