"""How many findings a store takes, and how soon it answers: for a choice between the embedded one and ClickHouse.

    .venv/bin/python deploy/clickhouse/bench.py [--findings 40000] [--batch 2000] [--after 0] FILE|clickhouse://HOST/DATABASE

It writes findings of 2 KB (60 operators, 40 targets, five probes each; one target in twelve is cut) into a NEW file or
database, without broker and signatures: what is measured is the store. With ``--after`` it goes on in one that holds as
many of them. A line of JSON comes out; rates are means, times are median, least and most.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from probe.collector.incidents.model import HOUR
from probe.collector.search import Search
from probe.collector.sqlite_reader import SqliteReader
from probe.collector.sqlite_store import SqliteStore
from probe.collector.store import Reader, Store
from probe.collector.verdicts import Judged, NewFinding
from probe.model.finding import Evidence, Finding, Interference, Line, Probe, Tally, Target

OPERATORS, TARGETS, PROBES, START, STEP = 60, 40, 5, 1_772_323_200_000, 20_000
COUNTRIES = ("MA", "DZ", "TN", "EG")


def finding(number: int) -> Finding:
    """The n-th: all lines and targets in turn, then the next probe of each; an operator's are twenty seconds apart."""
    operator, target = number % OPERATORS, number // OPERATORS % TARGETS
    probe = number // OPERATORS // TARGETS % PROBES
    bad = (operator + target) % 12 == 0
    at = START + number * STEP // OPERATORS
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"
    return Finding(
        id=f"{at >> 16:08x}-{at & 0xFFFF:04x}-7{number & 0xFFF:03x}-8{number >> 12 & 0xFFF:03x}-{number:012x}",
        measurement="dns_injection", version="1", probe=Probe(f"p-{operator}-{probe}", "colibri 0.1.0"),
        line=Line(f"Operator {operator}", 64500 + operator, COUNTRIES[operator % len(COUNTRIES)], "fixed"),
        target=Target(f"{target}.example", f"{target}.example", "", 53, "press"), started_at=stamp, duration_s=2.5,
        clock="synchronised", verdict="interfered" if bad else "clean",
        interference=Interference("dns_injection") if bad else None, rule="bench", trials=Tally(3, 3),
        controls=Tally(6, 6), confidence=0.97, reasons=["x" * 650, "y" * 650], evidence=Evidence(0, "", 9), details={},
    )  # fmt: skip


def judged(number: int) -> Judged:
    """As the subscriber hands it over."""
    one = finding(number)
    body = msgspec.json.encode(one)
    at = START + number * STEP // OPERATORS
    return Judged("", b"", at, NewFinding(one, body, hashlib.sha256(body).digest()[:16], at))


def clock(work: Callable[[], Any], times: int) -> list[float]:
    """Milliseconds: median, least and most."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return [round(one, 1) for one in (statistics.median(taken), min(taken), max(taken))]


def opened(where: str) -> tuple[Store, Reader, Callable[[], bool]]:
    """A store, its reader, and what settles it."""
    if "://" not in where:
        return SqliteStore(where), SqliteReader(where), lambda: False
    from probe.collector.clickhouse.address import parse
    from probe.collector.clickhouse.link import HttpLink
    from probe.collector.clickhouse.reader import ClickHouseReader
    from probe.collector.clickhouse.settle import Settler
    from probe.collector.clickhouse.store import ClickHouseStore, Ticker

    links = [HttpLink(parse(where)) for _ in range(3)]
    return ClickHouseStore(links[0]), ClickHouseReader(links[1]), Settler(links[2], Ticker()).settle


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("store")
    parser.add_argument("--findings", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=2000)
    parser.add_argument("--after", type=int, default=0, help="so many are there already")
    args = parser.parse_args(arguments)
    first, end = args.after, args.after + args.findings
    store, reader, settle = opened(args.store)
    storing = settling = 0.0
    for start in range(first, end, args.batch):
        batch = [judged(number) for number in range(start, min(start + args.batch, end))]
        begun = time.perf_counter()
        store.commit(batch)
        stored = time.perf_counter()
        while settle():
            pass
        storing += stored - begun
        settling += time.perf_counter() - stored
    everybody = frozenset((COUNTRIES[n % len(COUNTRIES)], f"AS{64500 + n}") for n in range(OPERATORS))
    ids = [finding(number).id for number in range(0, end, max(1, end // 20))]
    print(json.dumps({
        "findings": end, "batch": args.batch, "load": round(os.getloadavg()[0], 1),
        "stored_per_s": round(args.findings / storing),
        "settled_per_s": round(args.findings / settling) if settling > 0.01 else None,
        "ms": {
            "all cells": clock(reader.cells, 5),
            "newest 100": clock(lambda: reader.search(Search(operators=everybody)), 5),
            "newest 100 of a target": clock(lambda: reader.search(Search(operators=everybody, target="7.example")), 5),
            "one finding": clock(lambda: reader.finding(ids.pop()), 11),
            "history of a target": clock(lambda: reader.history(["7.example"], 0, 1 << 50, HOUR), 5),
            "incidents": clock(lambda: reader.incidents(100), 5),
            "who fared how": clock(lambda: reader.looks(0, 1 << 50), 3),
            "who fared how, a day": clock(lambda: reader.looks(START, START + 86_400_000), 3),
        },
    }))  # fmt: skip
    reader.close()
    store.close()


if __name__ == "__main__":
    main()
