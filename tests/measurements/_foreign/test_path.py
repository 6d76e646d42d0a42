"""Ways in captures of others."""

from __future__ import annotations

import pytest

from probe.measurements._foreign.packets import Taken
from probe.measurements._foreign.path import judge
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

ME, FAR = "192.168.1.2", "203.0.113.10"
Header = Tcp | Udp | Icmp


def probe(kind: str, ttl: int) -> Header:
    if kind == "udp":
        return Udp(40000, 33434 + ttl, 20)
    if kind == "paris":
        return Udp(40000, 33434, 20, checksum=ttl)
    return Tcp(40000, 80, ttl, 0, int(Flags.SYN), 512) if kind == "tcp" else Icmp(8, 0, rest=7 << 16 | ttl)


def trace(kind: str, hops: int, *, answers: bool) -> list[Taken]:
    taken = []
    for ttl in range(1, hops + 1):
        sent = Packet(4, ME, FAR, ttl, 17, 40, ident=ttl, header=probe(kind, ttl))
        taken.append(Taken(ttl / 10, sent))
        quoted = Packet(4, ME, FAR, 1, 17, 40, ident=ttl, header=probe(kind, ttl))
        if ttl < hops:
            router = Packet(4, f"198.18.0.{ttl}", ME, 250, 1, 56, header=Icmp(11, 0, quoted=quoted))
            taken.append(Taken(ttl / 10 + 0.01, router))
    if answers:
        taken.append(Taken(9.0, Packet(4, FAR, ME, 56, 1, 56, header=Icmp(3, 3))))
    return taken


@pytest.mark.parametrize("kind", ["udp", "paris", "tcp", "icmp"])
def test_traceroutes_of_all_kinds(kind: str) -> None:
    (judgement,) = judge(trace(kind, 6, answers=True))
    assert (judgement.verdict, judgement.rule) == ("clean", "ttl_path/captured-arrives")
    assert judgement.target.address == FAR
    path = judgement.details["path"]
    assert [(row["ttl"], list(row["routers"])) for row in path] == [(t, [f"198.18.0.{t}"]) for t in range(1, 6)]


def test_what_does_not_arrive_accuses_nobody() -> None:
    (judgement,) = judge(trace("udp", 6, answers=False))
    assert (judgement.verdict, judgement.confidence) == ("inconclusive", 0.0)
    assert "firewall" in judgement.reasons[0]


def test_a_few_packets_are_no_way() -> None:
    assert judge(trace("udp", 3, answers=True)) == []
    assert judge([one for one in trace("udp", 9, answers=True) if one.packet.source != ME]) == []
