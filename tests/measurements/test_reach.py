"""One probe and what it showed."""

from __future__ import annotations

import pytest

from probe.measurements._reach import ICMP, UDP, Probe, Sight, patience, read, step, tcp
from probe.model.exchange import EchoStep, Exchange, Heard, SynStep, UdpStep
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

FAR, ROUTER = "198.51.100.10", "198.18.20.4"
MINE = Packet(4, "0.0.0.0", FAR, 64, 6, 40, header=Tcp(61440, 443, 1, 0, int(Flags.SYN), 512))


def tcp_back(flags: int) -> Packet:
    return Packet(4, FAR, "0.0.0.0", 55, 6, 40, header=Tcp(443, 61440, 9, 2, flags, 512))


def error(kind: int, code: int, source: str = ROUTER, version: int = 4) -> Packet:
    quoted = Packet(version, "0.0.0.0", FAR, 1, 6, 40, header=MINE.header)
    return Packet(version, source, "0.0.0.0", 250, 1, 56, header=Icmp(kind, code, quoted=quoted))


def sight(*back: Packet, probe: Probe | None = None) -> Sight:
    made = step(probe or tcp(443), FAR, "f", 5)
    heard = (Heard(0.0, True, MINE), *(Heard(0.02 + i / 100, False, p) for i, p in enumerate(back)))
    return read(probe or tcp(443), Exchange(step=made, heard=heard, sent_at=0.0))


@pytest.mark.parametrize(
    ("packet", "answer"),
    [(tcp_back(Flags.SYN | Flags.ACK), "open"), (tcp_back(Flags.RST | Flags.ACK), "closed"),
     (error(3, 3, FAR), "reply"), (error(3, 13, FAR), "reply")],
)  # fmt: skip
def test_the_address_itself(packet: Packet, answer: str) -> None:
    seen = sight(packet)
    assert (seen.answer, seen.dead, seen.ttl, seen.round_trip) == (answer, False, 5, 0.02)
    assert seen.hops == (9 if packet.ttl == 55 else 5)


@pytest.mark.parametrize(
    ("packet", "router", "refused"),
    [
        (error(11, 0), ROUTER, None), (error(3, 3, version=6), ROUTER, None),
        (error(3, 13), "", (ROUTER, 13)), (error(3, 1), "", (ROUTER, 1)), (error(1, 5, version=6), "", (ROUTER, 5)),
        (error(3, 4), "", None), (error(12, 0), "", None),
    ],
)  # fmt: skip
def test_routers(packet: Packet, router: str, refused: tuple[str, int] | None) -> None:
    seen = sight(packet)
    assert (seen.answer, seen.router, seen.refused) == ("", router, refused)
    assert seen.dead == (not router and not refused)


def test_the_address_counts_before_routers_and_both_are_kept() -> None:
    seen = sight(error(11, 0), error(3, 13), tcp_back(Flags.SYN | Flags.ACK))
    assert (seen.answer, seen.router, seen.refused) == ("open", ROUTER, (ROUTER, 13))
    assert sight().dead


def test_steps_of_all_kinds() -> None:
    assert step(tcp(80), FAR, "a", 3) == SynStep(address=FAR, port=80, ttl=3, flow="a", wait=1.0)
    assert step(ICMP, FAR, "a") == EchoStep(address=FAR, ttl=64, flow="a", wait=1.0)
    low, high = (step(UDP, FAR, "a", ttl) for ttl in (2, 30))
    assert isinstance(low, UdpStep)
    assert isinstance(high, UdpStep)
    assert low.payload != high.payload
    assert sum(low.payload) == sum(high.payload)  # and so the checksum is one and the same
    assert [probe.text for probe in (tcp(80), UDP, ICMP)] == ["TCP port 80", "UDP", "ICMP"]


def test_patience_follows_the_line() -> None:
    def after(seconds: float) -> list[Sight]:
        return [Sight(probe=ICMP, ttl=64, answer="reply", round_trip=seconds)]

    assert [patience(after(s)) for s in (0.01, 0.5, 2.0)] == [1.0, 2.0, 3.0]
    assert patience([]) == 1.0


def test_datagrams_too() -> None:
    back = Packet(4, FAR, "0.0.0.0", 55, 17, 40, header=Udp(33434, 61440, 20))
    assert sight(back, probe=UDP).answer == "reply"
