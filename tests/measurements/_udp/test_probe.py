from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from probe.measurements._udp.probe import Plan, ask
from probe.measurements._udp.seen import End, Seen
from probe.measurements._udp.triggers import Trigger
from probe.model.exchange import PauseStep, Step, UdpStep
from tests.measurements.simnet import Internet, Network, drive
from tests.measurements.simudp import QuicServer, UdpFilter, content
from tests.measurements.worlds import BANNED, CONTROL, SERVER

ENDS = (End(SERVER, 443), End(CONTROL, 443, ours=True))


def run(*boxes: UdpFilter, seed: int = 1, locate: bool = False, **what: Any) -> tuple[Seen, list[list[Step]]]:
    hosts = {SERVER: QuicServer(), CONTROL: QuicServer()}
    net = Internet(Network(**({"hosts": hosts, "boxes": boxes} | what)), seed)
    part = ask(Plan(Trigger("quic", "banned.example", 443), "fine.example", ENDS, 3, locate), Random(seed))
    batches: list[list[Step]] = []
    return drive(part, net, batches), batches


def names(batch: list[Step]) -> list[str]:
    return [content(step.payload) for step in batch if isinstance(step, UdpStep)]


def test_an_honest_line_takes_few_datagrams() -> None:
    seen, batches = run()
    assert [len(batch) for batch in batches] == [6, 12, 10]
    assert names(batches[0]) == ["fine.example"] * 6
    assert names(batches[2]) == ["fine.example"] * 10
    assert names(batches[1]) == ["banned.example", "fine.example"] * 6
    assert not seen.swept
    assert [len(one.twins) for one in seen.ends] == [11, 11]


def test_the_trigger_is_not_sent_where_nothing_can_be_compared() -> None:
    seen, batches = run(hosts={})
    assert "banned.example" not in [name for batch in batches for name in names(batch)]
    assert not seen.live


def swept(batches: list[list[Step]]) -> dict[str, list[str]]:
    """Flow → what was sent on it with a TTL that does not arrive, in order."""
    found: dict[str, list[str]] = {}
    for batch in batches:
        for step in batch:
            if isinstance(step, UdpStep) and step.ttl < 32:
                found.setdefault(step.flow, []).append(content(step.payload))
    return found


def test_every_datagram_has_a_flow_of_its_own_but_those_that_ask_for_routers() -> None:
    seen, batches = run(UdpFilter(at=4, contents=BANNED))
    full = Counter(s.flow for batch in batches for s in batch if isinstance(s, UdpStep) and s.ttl >= 32)
    assert set(full.values()) == {1}
    assert not set(full) & set(swept(batches))
    assert seen.place is not None
    assert (seen.place.clean_ttl, seen.place.first_ttl) == (3, 4)


def test_what_asks_for_routers_goes_behind_the_trigger() -> None:
    _, batches = run(UdpFilter(at=4, contents=BANNED))
    assert {tuple(sent) for sent in swept(batches).values()} == {
        ("banned.example", "fine.example"), ("fine.example", "fine.example"), ("fine.example",),
    }  # fmt: skip


def test_a_shorter_way_is_looked_for() -> None:
    for seed in range(10):
        seen, _ = run(UdpFilter(at=4, contents=BANNED), seed=seed, uneven=3)
        assert seen.arrives == 9


def test_triggers_that_take_their_twins_with_them_are_sent_alone() -> None:
    seen, batches = run(UdpFilter(at=4, contents=BANNED, residual=3, size=3))
    assert seen.apart
    mixed = [batch for batch in batches if len(set(names(batch))) == 2]
    assert len(mixed) == 1
    assert [one.failed for one in seen.ends] == [len(one.triggers) for one in seen.ends]
    assert all(one.hit for one in seen.ends)
    assert max(seen.residual) == 6.0
    assert any(isinstance(step, PauseStep) for batch in batches for step in batch)


def test_blocking_that_lasts_ends_the_run() -> None:
    seen, batches = run(UdpFilter(at=4, contents=BANNED, residual=9999, size=3))
    assert seen.lasting
    pauses = [step.seconds for batch in batches for step in batch if isinstance(step, PauseStep)]
    assert sum(pauses) == 126.0
    assert not any(one.after for one in seen.ends)


def test_the_sweep_goes_on_until_twins_arrive() -> None:
    seen, _ = run(locate=True, hops=16, back=-8)
    assert seen.arrives == 16
    assert seen.place is None


def test_loss_ends_few_runs_before_they_begin() -> None:
    assert sum(bool(run(seed=seed, loss=0.05)[0].live) for seed in range(60)) >= 59
