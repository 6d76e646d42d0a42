"""Sweeps of a small lab: every router, every far end; retries, budgets, both IP versions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from probe.engine.bulk import sweep as module
from probe.engine.bulk.drive import alone
from probe.engine.bulk.line import Line
from probe.engine.bulk.sweep import Found, ports, sweep
from probe.lab.kinds import Impair, RouteAway
from probe.lab.lab import Lab
from probe.model.errors import ForbiddenDestination, UsageError
from probe.model.packet import Tcp
from probe.wire.address import address_text
from tests.engine.bulk.conftest import line
from tests.engine.conftest import Eye

pytestmark = pytest.mark.lab

SERVERS = ["203.0.113.10", "203.0.113.11"]
SERVERS6 = ["2001:db8:a0::10", "2001:db8:a0::11"]
SILENT = "203.0.113.12"
ROUTERS = {4: [f"198.18.1.{n}" for n in range(1, 5)], 6: [f"2001:db8:1::{n}" for n in range(1, 5)]}
FIRST = {4: "198.18.1.101", 6: "2001:db8:1:1::1"}
Do = Callable[[Callable[[Line], Any]], Any]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is late with answers, which would be asked for again."""
    monkeypatch.setattr(module, "_PATIENCE", (0.7, 1.0))


def way(found: Found, i: int) -> list[str]:
    """Who answered at each TTL."""
    return [address_text(found.answers[i][ttl].who) for ttl in sorted(found.answers[i])]


@pytest.mark.parametrize("kind", ["tcp", "icmp"])
def test_every_router_of_every_way_shows_itself(do: Do, kind: Any) -> None:
    targets = [*SERVERS, *SERVERS6]
    found: Found = do(lambda line: sweep(line, targets, hops=5, kind=kind))
    for i, target in enumerate(targets):
        version = 6 if ":" in target else 4
        assert way(found, i) in ([*ROUTERS[version], target], [FIRST[version], *ROUTERS[version][1:], target])
        assert [found.answers[i][ttl].said for ttl in range(1, 5)] == ["expired"] * 4
        assert found.answers[i][5].said == ("open" if kind == "tcp" else "reply")
        assert 15e6 < found.answers[i][5].after < 1e9  # the chain's round trip is 20 ms
    assert (found.packets, found.lost, found.copies, found.errors) == (20, 0, 0, {})


def test_nothing_is_asked_beyond_the_far_end_again_and_silence_three_times(do: Do, eye: Eye) -> None:
    found: Found = do(lambda line: sweep(line, [SERVERS[0], SILENT], hops=7))
    # Two more SYNs get there, in the first round, which knows no better; a kernel that awaits an ACK is silent.
    assert sorted(found.answers[0]) == [1, 2, 3, 4, 5]
    assert sorted(found.answers[1]) == [1, 2, 3, 4]
    sent = [(one, one.header) for outgoing, one in eye.packets() if outgoing and isinstance(one.header, Tcp)]
    syns = [(one, header) for one, header in sent if header.flags == 2]
    assert len(syns) == found.packets == 7 + 7 + 2 * 3
    assert [one.ttl for one, _ in syns if one.destination == SILENT].count(6) == 3
    assert len({header.sequence for one, header in syns if one.destination == SILENT}) == 13


def test_ports_open_closed_and_silent(do: Do) -> None:
    found: Found = do(lambda line: ports(line, [*SERVERS, SILENT], [80, 81]))
    said = [found.answers[i][64].said if found.answers[i] else "" for i in range(6)]
    assert said == ["open", "closed", "open", "closed", "", ""]
    assert found.packets == 4 + 3 * 2


def test_the_kernels_refusals_are_counted(chain: Lab) -> None:
    with chain.enter("chain"):
        used = line(chain)
        budget = used.gate._budget
        found = alone(ports(used, SERVERS, [80, 81]))
    assert found.packets == 4
    assert budget.used == 60 * (4 + 2)


def test_the_budget_paces_a_sweep(chain: Lab, eye: Eye) -> None:
    config = chain.config("chain").safety
    safety = msgspec.structs.replace(config, packets_per_second=50, target_packets_per_second=50)
    with chain.enter("chain"):
        begun = time.monotonic()
        found = alone(sweep(line(chain, safety), [*SERVERS, *SERVERS6], hops=5))
        taken = time.monotonic() - begun
    assert found.packets == 20
    assert taken > (20 - 5) / 50
    assert len([1 for outgoing, one in eye.packets() if outgoing and one.ttl < 6]) == 20


def test_losses_are_made_up_for() -> None:
    with Lab.chain(3, [Impair(at="chain.r2", loss=0.05)]) as lab, lab.enter("chain"):
        targets = [f"203.0.113.{n}" for n in (10, 11)]
        answers = 0
        for _ in range(10):
            found = alone(sweep(line(lab), targets, hops=4, attempts=6))
            answers += sum(len(one) for one in found.answers)
        assert found.packets >= 8
    assert answers == 80


def test_what_is_dropped_everywhere_ends_in_time() -> None:
    with Lab.chain(2, [RouteAway(at="chain.r1", prefixes=("203.0.113.10/31",))]) as lab, lab.enter("chain"):
        begun = time.monotonic()
        found = alone(ports(line(lab), SERVERS, [80]))
    assert time.monotonic() - begun < 5
    assert found.answers == [{}, {}]


@pytest.mark.parametrize(
    ("targets", "hops", "error"),
    [(["203.0.113.10", "192.168.1.1"], 3, ForbiddenDestination), (["203.0.113.10"] * 2, 3, UsageError),
     (["203.0.113.10"], 0, UsageError), (["203.0.113.10"], 65, UsageError), (["nonsense"], 3, UsageError),
     (["198.18.1.100"], 3, ForbiddenDestination)],
)  # fmt: skip
def test_what_may_not_be_is_refused_before_anything_is_sent(
    do: Do, eye: Eye, targets: list[str], hops: int, error: type[Exception]
) -> None:
    eye.packets()
    with pytest.raises(error):
        do(lambda line: sweep(line, targets, hops=hops))
    assert [1 for outgoing, _ in eye.packets() if outgoing] == []
