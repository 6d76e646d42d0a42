"""What is usual of one address."""

from __future__ import annotations

import msgspec

from probe.model.baseline import Baseline, Usual


def test_nothing_is_known_of_a_stranger() -> None:
    nobody = Baseline().of("192.0.2.1")
    assert (nobody.patience, nobody.usual_ttls, nobody.fastest(0.2)) == (0.0, [], 0.2)


def test_what_is_usual() -> None:
    ttls = {56: 60, 54: 30, 40: 10, 1: 9}
    usual = Usual(asked=100, answered=100, ttls=ttls, least=0.01, typical=0.02, deviation=0.005)
    assert usual.usual_ttls == [40, 54, 56]
    assert (usual.fastest(0.2), usual.fastest(0.005)) == (0.01, 0.005)
    assert abs(usual.patience - 0.04) < 1e-9


def test_it_survives_json() -> None:
    baseline = Baseline({"192.0.2.1": Usual(asked=2, answered=1, ttls={56: 1}, at=5)})
    assert msgspec.json.decode(msgspec.json.encode(baseline), type=Baseline) == baseline
