"""States: the newest verdict by the order of making, bounded, and back after a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from probe.agent import states
from probe.agent.spool import Entry, Spool
from probe.agent.states import States
from probe.model import feed
from tests.agent.conftest import PROBE, make_finding


def entry(number: int, json: bytes) -> Entry:
    return Entry(f"i{number}", "dns_injection", "clean", json, 0.0)


def verdicts(kept: States) -> list[tuple[str, str]]:
    decoded = [msgspec.json.decode(body, type=feed.State) for _, body in kept.all()]
    return [(state.target.input, state.verdict) for state in decoded]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 1 << 20)


def test_one_state_a_target_and_measurement(spool: Spool) -> None:
    kept = States(PROBE, spool)
    kept.update(make_finding(1, "clean", "a"))
    kept.update(make_finding(2, "clean", "b"))
    topic, body = kept.update(make_finding(3, "interfered", "a"))
    assert topic == feed.state(PROBE, "dns_injection", "a")
    assert msgspec.json.decode(body, type=feed.State).id == make_finding(3).id
    kept.update(make_finding(4, "down", "a", measurement="tcp_reset"))
    assert verdicts(kept) == [("b", "clean"), ("a", "interfered"), ("a", "down")]
    spool.close()


def test_after_a_restart_they_are_the_newest_of_the_spool(spool: Spool) -> None:
    findings = [make_finding(1, "interfered", "a"), make_finding(2, "clean", "a"), make_finding(3, "down", "b")]
    spool.add([entry(n, msgspec.json.encode(f)) for n, f in enumerate(findings)])
    assert verdicts(States(PROBE, spool)) == [("a", "clean"), ("b", "down")]
    spool.close()


def test_a_finding_of_another_version_in_the_spool_is_passed_over(spool: Spool) -> None:
    spool.add([entry(1, b'{"schema": "colibri.finding/9"}'), entry(2, msgspec.json.encode(make_finding(2)))])
    assert verdicts(States(PROBE, spool)) == [("example.com", "clean")]
    spool.close()


def test_the_one_that_changed_longest_ago_goes_first(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST", 2)
    kept = States(PROBE, spool)
    for number, target in enumerate("abac"):
        kept.update(make_finding(number, "clean", target))
    assert [target for target, _ in verdicts(kept)] == ["a", "c"]
    spool.close()
