"""What a silent host says through a witness."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import Any

import pytest

from probe.measurements import Context
from probe.measurements._far import Far
from probe.measurements._hole import witness
from probe.measurements._hole.verdict import Case
from probe.measurements._hole.ways import Aim
from probe.measurements._hole.witness import Testimony as Told
from probe.measurements._hole.witness import summon, weigh
from probe.measurements._locate import Place
from probe.measurements._reach import ICMP, UDP, tcp
from probe.model.exchange import Exchange, Heard, SynStep
from probe.model.finding import Tally
from probe.model.packet import Flags, Packet, Tcp
from probe.model.reflector import Arrived, Grant

HOST = "198.51.100.10"
PLACE = Place(3, 4, "198.18.0.3", "198.18.0.4", "in_path", 48, 48)
CASE = Case(aim=Aim(HOST, (tcp(80), UDP, ICMP)), verdict="interfered", rule="dies-where-others-pass", reason="Gone.",
            technique="ip_blackhole", place=PLACE, trials=Tally(48, 48))  # fmt: skip


def ask(
    monkeypatch: pytest.MonkeyPatch, arrived: Arrived | None, *, peers: tuple[str, ...] = ("octenium",), sent: int = 16
) -> tuple[Told | None, list[Packet]]:
    """A witness with these peers, and what the host says of so many packets that left."""
    asked: list[Packet] = []

    def hello(address: str, _context: Context) -> Generator[Any, Any, Far | None]:
        yield from ()
        return Far(address, Grant(token="00" * 12, peers=peers)) if peers else None

    def arrivals(
        _far: Far, packets: Sequence[Packet], _context: Context, *, within: float, peer: str
    ) -> Generator[Any, Any, Arrived | None]:
        yield from ()
        assert (within, peer) == (10.0, "octenium")
        asked.extend(packets)
        return arrived

    monkeypatch.setattr(witness, "hello", hello)
    monkeypatch.setattr(witness, "arrivals", arrivals)
    part = summon(HOST, [80, 443], "203.0.113.190", "octenium", 1.0, Context(Random(1)))
    try:
        batch = next(part)
    except StopIteration as stop:
        return stop.value, asked
    exchanges = []
    for i, step in enumerate(batch):
        assert isinstance(step, SynStep)
        header = Tcp(61440, step.port, i, 0, int(Flags.SYN), 512)
        left = Heard(0.0, True, Packet(4, "0.0.0.0", HOST, 64, 6, 44, header=header))
        exchanges.append(Exchange(step=step, heard=(left,) if i < sent else (), sent_at=0.0 if i < sent else None))
    with pytest.raises(StopIteration) as ended:
        part.send(exchanges)
    return ended.value.value, asked


@pytest.mark.parametrize("came", [0, 7, 16])
def test_what_came_is_counted(monkeypatch: pytest.MonkeyPatch, came: int) -> None:
    counts = (1,) * came + (0,) * (16 - came)
    said, asked = ask(monkeypatch, Arrived(counts=counts, yours=counts))
    assert said == Told(16, came)
    assert len({p.header.sequence for p in asked if isinstance(p.header, Tcp)}) == 16


def test_who_can_t_tell_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = Arrived(counts=(0,) * 15 + (-1,), yours=(0,) * 16, why="no capture")
    assert ask(monkeypatch, blind)[0] is None
    assert ask(monkeypatch, None)[0] is None
    assert ask(monkeypatch, Arrived(), peers=())[0] is None
    assert ask(monkeypatch, Arrived(), peers=("somebody",))[0] is None
    assert ask(monkeypatch, Arrived(counts=(0, 0), yours=(0, 0)), sent=2)[0] is None


def test_what_arrives_does_not_die_on_the_way() -> None:
    case = weigh(CASE, Told(16, 15), "octenium")
    assert (case.verdict, case.rule) == ("inconclusive", "arrives-unanswered")
    assert (case.technique, case.location) == (None, None)
    assert "15 of 16 packets" in case.reason


def test_a_host_that_is_up_and_gets_nothing() -> None:
    case = weigh(CASE, Told(16, 0), "octenium")
    assert (case.verdict, case.rule, case.location) == ("interfered", CASE.rule, CASE.location)
    assert "0 of 16 packets arrived: the host is up" in case.witness
