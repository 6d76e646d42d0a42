"""The quarantine is bounded: by probe, and in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.collector import quarantine
from probe.model import feed

if TYPE_CHECKING:
    from tests.collector.conftest import Desk


def test_one_probe_drops_its_own_oldest_and_is_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PROBE_ROWS", 5)
    desk.give((feed.finding("p-quiet", "voip"), b"{quiet"))
    for number in range(9):
        desk.give((feed.finding("p-loud", "voip"), b"{%d" % number))
    heads = [reject.head for reject in desk.reader.rejects(50)]
    assert heads == [b"{8", b"{7", b"{6", b"{5", b"{4", b"{quiet"]
    counters = desk.reader.counters()
    assert (counters["rejected.bad_json"], counters["rejects_dropped"]) == (10, 4)


def test_bytes_are_bounded_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PROBE_BYTES", 1000)
    desk.give(*((feed.finding("p-loud", "voip"), b"{" + b"%d" % n * 400) for n in range(4)))
    assert [reject.size for reject in desk.reader.rejects(50)] == [401, 401]


def test_all_probes_together_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "ALL_BYTES", 30)
    for number in range(6):
        desk.give((feed.finding(f"p-{number}", "voip"), b"{ten bytes"))
    assert len(desk.reader.rejects(50)) == 3
    assert desk.reader.counters()["rejects_dropped"] == 3
