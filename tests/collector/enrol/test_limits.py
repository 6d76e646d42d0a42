"""How often one may knock."""

from __future__ import annotations

import pytest

from probe.collector.enrol import limits
from probe.collector.enrol.limits import BURST, BURST_OF_ALL, EACH, Attempts


def knock(attempts: Attempts, address: str, now: float) -> float:
    """Try in vain, if one may; the seconds to wait."""
    delay = attempts.wait(address, now)
    if not delay:
        attempts.failed(address, now)
    return delay


def test_who_is_let_in_may_come_again() -> None:
    attempts = Attempts()
    assert {attempts.wait("192.0.2.1", 0.0) for _ in range(100)} == {0.0}


def test_some_at_once_then_slowly() -> None:
    attempts = Attempts()
    assert [knock(attempts, "192.0.2.1", 100.0) for _ in range(BURST)] == [0.0] * BURST
    assert knock(attempts, "192.0.2.1", 100.0) == pytest.approx(EACH)
    assert knock(attempts, "192.0.2.1", 100.0 + EACH) == 0.0
    assert knock(attempts, "192.0.2.1", 100.0 + EACH) > 0


def test_another_home_has_its_own_turns_but_a_neighbour_in_ipv6_has_not() -> None:
    attempts = Attempts()
    for _ in range(BURST):
        knock(attempts, "2001:db8:0:1::1", 0.0)
    assert knock(attempts, "2001:db8:0:2::9", 0.0) > 0  # the same /56
    assert knock(attempts, "2001:db8:0:100::1", 0.0) == 0.0
    assert knock(attempts, "192.0.2.1", 0.0) == 0.0


def test_all_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts()
    taken = sum(knock(attempts, f"10.0.{n // 250}.{n % 250}", 0.0) == 0.0 for n in range(BURST_OF_ALL + 50))
    assert taken == BURST_OF_ALL


def test_a_flood_from_everywhere_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST", 50)
    attempts = Attempts()
    for n in range(1000):
        knock(attempts, f"10.0.{n // 250}.{n % 250}", n * 0.1)
    assert len(attempts._next) <= 51
    assert knock(attempts, "192.0.2.1", 10_000.0) == 0.0


def test_a_client_without_an_address_shares_one_bucket() -> None:
    attempts = Attempts()
    assert [knock(attempts, "", 0.0) for _ in range(BURST + 1)][-1] > 0
