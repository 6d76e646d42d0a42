"""On-path boxes: what arrives in the home, as on the wire."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import DnsInjector, ResetInjector
from probe.lab.lab import Lab
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import dns, http

pytestmark = pytest.mark.lab

Start = Callable[..., Any]
NAMES = ("press.example",)


def ask(lab: Lab, resolver: str = "203.0.113.10", ttl: int = 64, qtype: int = dns.A) -> socket.socket:
    """Send one query; the socket stays open, so that the kernel sends no ICMP error for the answers."""
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    with lab.enter("chain"):
        asker = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    asker.sendto(dns.query("press.example", 9, qtype), (resolver, 53))
    return asker


def replies(packets: list[Packet]) -> list[Packet]:
    return [packet for packet in packets if isinstance(packet.header, Udp)]


def texts(packets: list[Packet]) -> list[str]:
    return [dns.decode(packet.payload).answers[0].text for packet in packets]


def test_forged_answers_come_first_and_the_real_one_still_comes(chain: Start, listen: Start) -> None:
    lab = chain(DnsInjector(at="chain.r2", names=NAMES, copies=2, ttl=99, ip_id=7))
    ear = listen(lab)
    with ask(lab):
        heard = replies(ear.packets(2, lambda found: len(replies(found)) == 3))
    assert texts(heard) == ["198.18.0.99", "198.18.0.99", "203.0.113.10"]
    assert [(p.ttl, p.ident) for p in heard[:2]] == [(98, 7)] * 2  # one router between
    assert heard[2].ttl == 60
    assert {p.source for p in heard} == {"203.0.113.10"}


@pytest.mark.parametrize(("hop", "ttl", "forged"), [(2, 1, 0), (2, 2, 1), (3, 2, 0), (3, 3, 1)])
def test_the_box_sees_what_reaches_its_router_also_at_its_last_ttl(
    chain: Start, listen: Start, hop: int, ttl: int, forged: int
) -> None:
    lab = chain(DnsInjector(at=f"chain.r{hop}", names=NAMES))
    ear = listen(lab)
    with ask(lab, ttl=ttl):
        heard = ear.packets(0.15)
    assert len(replies(heard)) == forged
    errors = [p for p in heard if p.protocol == 1]
    assert [getattr(p.header, "type", None) for p in errors] == [11]
    assert {p.source for p in errors} <= set(lab.truth("chain", f"chain.r{ttl}").addresses)


def test_a_mirrored_ttl_makes_the_box_look_farther(chain: Start, listen: Start) -> None:
    lab = chain(DnsInjector(at="chain.r3", names=NAMES, ttl="mirror"))
    ear = listen(lab)
    for ttl, arrives in ((3, []), (4, []), (5, [1])):  # 2k - 1 for the box at hop k = 3
        with ask(lab, resolver="203.0.113.12", ttl=ttl):
            assert [p.ttl for p in replies(ear.packets(0.15))] == arrives


def test_an_address_without_a_resolver_answers_if_someone_forges(chain: Start, listen: Start) -> None:
    lab = chain(DnsInjector(at="chain.r2", names=NAMES))
    ear = listen(lab)
    with ask(lab, resolver="203.0.113.12"):
        heard = ear.packets(0.2)
    assert texts(replies(heard)) == ["198.18.0.99"]
    assert [p for p in heard if p.protocol == 1] == []  # no ICMP error either


def test_ipv6_is_forged_alike(chain: Start, listen: Start) -> None:
    lab = chain(DnsInjector(at="chain.r2", names=NAMES, qtypes=("A", "AAAA")))
    ear = listen(lab)
    with ask(lab, resolver="2001:db8:a0::10", qtype=dns.AAAA):
        heard = replies(ear.packets(2, lambda found: len(replies(found)) == 2))
    assert texts(heard) == ["2001:db8::99", "2001:db8:a0::10"]


def test_resets_reach_both_sides(chain: Start, listen: Start) -> None:
    spec = ResetInjector(at="chain.r2", words=NAMES, to=("client", "server"), copies=2, step=1000, flags="R")
    lab = chain(spec)
    ear, far = listen(lab), listen(lab, "server")
    with lab.enter("chain"), socket.create_connection(("203.0.113.10", 80), timeout=2) as connection:
        connection.sendall(http.request("press.example"))
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    resets = [p for p in ear.packets(0.2) if isinstance(p.header, Tcp) and p.header.flags == Flags.RST]
    assert [p.ttl for p in resets] == [63, 63]
    first, second = (p.header.sequence for p in resets if isinstance(p.header, Tcp))
    assert (second - first) % 2**32 == 1000
    there = [p for p in far.packets(0.2) if isinstance(p.header, Tcp) and p.header.flags & Flags.RST]
    assert [p.ttl for p in there[:2]] == [62, 62]  # routers r3 and r4 after r2 itself
