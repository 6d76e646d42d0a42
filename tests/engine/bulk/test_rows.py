"""Rows of jobs: in the order of the targets, whatever came back. (By real packets: tests/cli/test_probe.)"""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from probe.engine.bulk import rows as module
from probe.engine.bulk.drive import alone
from probe.engine.bulk.queries import Asked, Reply
from probe.engine.bulk.rows import perform
from probe.engine.bulk.sweep import Found
from probe.engine.bulk.volley import Answer
from probe.engine.bulk.wanted import Wanted
from probe.model.errors import UsageError
from probe.wire import dns

HOME, ROUTER, SERVER = b"\xc0\xa8\1\1", b"\xcb\0\x71\1", b"\xcb\0\x71\x0a"
NAMES = {HOME: "", ROUTER: "203.0.113.1", SERVER: "203.0.113.10"}


def place() -> Any:
    return SimpleNamespace(line=None, name=NAMES.__getitem__)


def found_by(monkeypatch: pytest.MonkeyPatch, name: str, found: Any) -> None:
    def job(*_arguments: object, **_more: object) -> Any:
        yield 0.0
        return found

    monkeypatch.setattr(module, name, job)


def test_ways_up_to_the_far_end_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {1: Answer("expired", HOME, 64, 1_000_000, 0), 3: Answer("expired", ROUTER, 62, 3_141_592, 0),
               4: Answer("open", SERVER, 61, 5_000_000, 0), 5: Answer("open", SERVER, 61, 5_000_000, 0)}  # fmt: skip
    found_by(monkeypatch, "sweep", Found([answers, {}], {1: errno.ENETUNREACH}, packets=9, lost=2))
    told = alone(perform(place(), Wanted("sweep", targets=["203.0.113.10", "203.0.113.11"]), ""))
    assert (told.packets, told.lost, told.failed, told.word) == (9, 2, True, "")
    assert list(told.rows) == [
        {"target": "203.0.113.10", "hops": [
            {"ttl": 1, "home": True, "address": "", "said": "expired", "rtt_ms": 1.0, "reply_ttl": 64},
            {"ttl": 2},
            {"ttl": 3, "home": False, "address": "203.0.113.1", "said": "expired", "rtt_ms": 3.142, "reply_ttl": 62},
            {"ttl": 4, "home": False, "address": "203.0.113.10", "said": "open", "rtt_ms": 5.0, "reply_ttl": 61},
        ]},
        {"target": "203.0.113.11", "hops": [], "error": "ENETUNREACH"},
    ]  # fmt: skip


def test_cells_by_address_then_by_port(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = {64: Answer("open", SERVER, 61, 1, 0)}
    found_by(monkeypatch, "ports", Found([opened, {}, {}, opened], {2: 9999}))
    told = alone(perform(place(), Wanted("ports", targets=["a", "b"], ports=[80, 81]), ""))
    assert list(told.rows) == [
        {"target": "a", "port": 80, "said": "open"}, {"target": "a", "port": 81, "said": ""},
        {"target": "b", "port": 80, "said": "", "error": "9999"}, {"target": "b", "port": 81, "said": "open"},
    ]  # fmt: skip


def test_names_with_all_answers_and_whom_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from probe.engine.bulk import queries

    refusal = bytearray(dns.query("a.example", 7))
    refusal[2:4] = b"\x81\x85"
    replies = [Reply(60, 4, 2_500_000, bytes(refusal)), Reply(61, None, 3_000_000, b"\0")]
    asked: list[tuple[object, ...]] = []

    def job(*arguments: object, **more: object) -> Any:
        asked.append((arguments[1], arguments[2], more["linger"]))
        yield 0.0
        return Asked([replies, []], packets=4, refused=errno.ECONNREFUSED)

    monkeypatch.setattr(queries, "ask", job)
    told = alone(perform(place(), Wanted("dns", targets=["a.example", "b.example"], linger=0.1), "203.0.113.53"))
    assert asked == [("203.0.113.53", ["a.example", "b.example"], 0.1)]
    first, second = told.rows
    assert first["answers"][0] == {"rtt_ms": 2.5, "ttl": 60, "ip_id": 4, "rcode": 5, "records": []}
    assert "malformed" in first["answers"][1]
    assert second == {"name": "b.example", "answers": []}
    assert told.word == "queries came back from 203.0.113.53 or a router before it (ECONNREFUSED)"
    assert not told.failed
    alone(perform(place(), Wanted("dns", targets=["a.example"], resolver="203.0.113.54"), "203.0.113.53"))
    assert asked[-1][0] == "203.0.113.54"


def test_without_anybody_to_ask_nothing_is_asked() -> None:
    with pytest.raises(UsageError, match="--resolver"):
        alone(perform(place(), Wanted("dns", targets=["a.example"]), ""))
