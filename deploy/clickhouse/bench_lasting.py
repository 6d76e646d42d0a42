"""What a pass costs while an incident lasts: one hour's results more, after 1, 10 and 100 days of it.

    .venv/bin/python deploy/clickhouse/bench_lasting.py [--days 1,10,100] [--technique ip_blackhole] FILE|clickhouse://HOST/DATABASE

One target, five operators with five homes each, a result an hour; one operator cuts it all the time. Into a NEW file or
database. For each number of days: results of so many days, then hours that come one by one, each stored and settled by
itself. A line of JSON for each; times are milliseconds: median, least and most.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence

import msgspec
from bench import opened

from probe.collector.incidents.model import HOUR
from probe.collector.store import Store
from probe.collector.verdicts import Judged, NewFinding
from probe.model.finding import Evidence, Finding, Interference, Line, Probe, Tally, Target, Technique

OPERATORS, HOMES, START = 5, 5, 1_772_323_200_000
PASSES = 9
BATCH = 10_000


def hour_of(number: int, technique: Technique) -> list[Judged]:
    """What all homes find in the n-th hour, as the subscriber hands it over."""
    found = []
    for who in range(OPERATORS * HOMES):
        operator, at = who % OPERATORS, START + number * HOUR + who * 60_000
        bad = operator == 0
        one = Finding(
            id=f"{at >> 16:08x}-{at & 0xFFFF:04x}-7000-8000-{who:012x}", measurement="blackhole", version="1",
            probe=Probe(f"p-{who:03}", "colibri 0.1.0"), line=Line(f"O{operator}", 64500 + operator, "DZ", "fixed"),
            target=Target("196.20.66.10", "", "196.20.66.10", 443, "host"),
            started_at=time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at // 1000)), duration_s=2.5,
            clock="synchronised", verdict="interfered" if bad else "clean",
            interference=Interference(technique) if bad else None, rule="bench", trials=Tally(3, 3),
            controls=Tally(6, 6), confidence=0.97, reasons=["A reason."], evidence=Evidence(0, "", 9), details={},
        )  # fmt: skip
        body = msgspec.json.encode(one)
        found.append(Judged("", b"", at, NewFinding(one, body, hashlib.sha256(body).digest()[:16], at)))
    return found


def measure(
    store: Store, settle: Callable[[], bool], technique: Technique, lengths: Sequence[int]
) -> list[dict[str, object]]:
    """For each number of days, the shortest first."""
    told, hour = list[dict[str, object]](), 0
    for days in sorted(lengths):
        waiting: list[Judged] = []
        while hour < days * 24:
            waiting += hour_of(hour, technique)
            hour += 1
            if len(waiting) >= BATCH or hour == days * 24:
                store.commit(waiting)
                waiting = []
        while settle():
            pass
        taken = []
        for _ in range(PASSES):
            begun = time.perf_counter()
            store.commit(hour_of(hour, technique))
            stored, processor = time.perf_counter(), time.process_time()
            while settle():
                pass
            ended = time.perf_counter()
            taken.append((ended - stored, time.process_time() - processor, stored - begun))
            hour += 1
        told.append({
            "days": days, "technique": technique, "load": round(os.getloadavg()[0], 1),
            **{name: [round(1000 * one, 1) for one in (sorted(some)[PASSES // 2], min(some), max(some))]
               for name, some in zip(("settling_ms", "cpu_of_it_ms", "storing_ms"), zip(*taken, strict=True),
                                     strict=True)},
        })  # fmt: skip
        print(json.dumps(told[-1]), flush=True)
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("store")
    parser.add_argument("--days", default="1,10,100")
    parser.add_argument("--technique", default="ip_blackhole")
    args = parser.parse_args(arguments)
    store, reader, settle = opened(args.store)
    measure(store, settle, args.technique, [int(days) for days in args.days.split(",")])
    (row,) = reader.incidents(10)
    if row.incident.homes != HOMES or row.incident.state != "open":
        raise RuntimeError(f"not the incident that was made: {row.incident}")
    reader.close()
    store.close()


if __name__ == "__main__":
    main()
