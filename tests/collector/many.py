"""A store with very many findings, put there through the real roll-up: what the monitor's queries are timed on."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from probe.collector import instants
from probe.collector.instants import DAY, HOUR
from probe.collector.sqlite_store import SqliteStore
from probe.collector.verdicts import Judged, NewFinding
from probe.model.finding import Evidence, Finding, Interference, Line, Probe, Tally, Target

END = instants.from_text("2026-03-01T12:00:00.000Z")
DAYS = 365
LINES = [
    Line("One", 64501, "DZ", "fixed"), Line("Two", 64502, "DZ", "mobile"), Line("Three", 64503, "DZ", "fixed"),
    Line("Four", 64511, "MA", "fixed"), Line("Five", 64512, "MA", "mobile"), Line("Six", 64521, "TN", "fixed"),
]  # fmt: skip
TARGETS = [Target(f"host{n}.example", f"host{n}.example", "", 443, f"group{n // 5}") for n in range(20)]
PROBES = 60
CUT = range(120, 150), ("DZ", 64501), 3
"""Days, operator and target of an interference."""


def fill(store: SqliteStore, count: int, seed: int = 5) -> None:
    """``count`` findings of a year until END, in the order in which they were made."""
    batch: list[Judged] = []
    for judged in _judged(count, Random(seed)):
        batch.append(judged)
        if len(batch) == 10_000:
            store.commit(batch, more=True)
            batch = []
    store.commit(batch)


def _judged(count: int, random: Random) -> Iterator[Judged]:
    start = END - DAYS * DAY
    for number in range(count):
        at = start + number * (END - start) // count
        who = random.randrange(PROBES)
        line, target = LINES[who % len(LINES)], TARGETS[random.randrange(len(TARGETS))]
        days, operator, cut = CUT
        bad = (at - start) // DAY in days and (line.country, line.asn) == operator and target is TARGETS[cut]
        finding = Finding(
            id=f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{number & 0xFFF:03x}-8000-{number:012x}", measurement="tcp_reset",
            version="1", probe=Probe(f"p{who:03}", "colibri"), line=line, target=target,
            started_at=instants.to_text(at), duration_s=2.5, clock="synchronised",
            verdict="interfered" if bad else "clean", interference=Interference("tcp_reset") if bad else None,
            rule="tcp_reset/x", trials=Tally(3, 3), controls=Tally(3, 3), confidence=0.9, reasons=["A reason."],
            evidence=Evidence(), details={},
        )  # fmt: skip
        body = msgspec.json.encode(finding)
        new = NewFinding(finding, body, number.to_bytes(16, "big"), at)
        yield Judged(f"colibri/v1/{finding.probe.id}/finding/tcp_reset", body, at + HOUR, new)
