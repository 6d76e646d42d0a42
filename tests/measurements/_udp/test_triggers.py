from __future__ import annotations

from random import Random

import pytest

from probe.measurements._udp.triggers import Kind, Reaction, Trigger, react, shot
from probe.model.exchange import Exchange, Heard, UdpStep
from probe.model.packet import Icmp, Packet, Protocol, Udp
from probe.wire import quic, reflector, sip, stun

TOKEN = bytes(range(12))
STEP = UdpStep(address="203.0.113.190", port=443, payload=b"x")


def _packet(source: str, header: Udp | Icmp, ttl: int = 55, version: int = 4) -> Packet:
    protocol = Protocol.UDP if isinstance(header, Udp) else Protocol.ICMP
    return Packet(version=version, source=source, destination="0.0.0.0", ttl=ttl, protocol=protocol, length=40,
                  header=header, payload=b"y")  # fmt: skip


def _exchange(*packets: Packet) -> Exchange:
    heard = tuple(Heard(0.1 + 0.02 * i, False, packet) for i, packet in enumerate(packets, 1))
    return Exchange(step=STEP, heard=heard, sent_at=0.1)


def _error(kind: int, code: int, version: int = 4) -> Packet:
    quoted = _packet(STEP.address, Udp(1, 443, 9), version=version)
    return _packet("198.51.100.3", Icmp(kind, code, quoted=quoted), version=version)


def test_quic_and_its_twin_differ_by_their_name_alone() -> None:
    trigger = Trigger("quic", "banned.example", 443)
    random = Random(1)
    mine, twin = trigger.payload(random, TOKEN), trigger.twin(random, TOKEN, "fine.example")
    assert quic.decrypt(mine).server_name == "banned.example"
    assert quic.decrypt(twin).server_name == "fine.example"
    assert len(mine) == len(twin) == 1200
    assert mine != trigger.payload(random, TOKEN)


@pytest.mark.parametrize("kind", ["sip", "stun"])
def test_the_twin_of_a_protocol_is_its_inverse(kind: Kind) -> None:
    trigger = Trigger(kind, "203.0.113.190", 5060)
    random = Random(1)
    mine, twin = trigger.payload(random, TOKEN), trigger.twin(random, TOKEN, "")
    assert len(mine) == len(twin)
    assert (stun.is_stun(mine), sip.is_sip(mine)) == (kind == "stun", kind == "sip")
    assert not stun.is_stun(twin)
    assert not sip.is_sip(twin)
    inverse = reflector.twin(twin)
    assert (stun.is_stun(inverse), sip.is_sip(inverse)) == (kind == "stun", kind == "sip")


@pytest.mark.parametrize("kind", ["quic", "sip", "stun"])
def test_a_reflector_finds_its_token(kind: Kind) -> None:
    trigger = Trigger(kind, "far.example", 443)
    place, found = next(iter(reflector.candidates(trigger.payload(Random(3), TOKEN))))
    assert place == kind
    assert (found[:2], found[4:]) == (TOKEN[:2], TOKEN[4:])


def test_what_one_datagram_did() -> None:
    assert react(Exchange(step=STEP)) == Reaction(sent=False)
    assert react(_exchange()) == Reaction(sent=True)
    answered = react(_exchange(_packet(STEP.address, Udp(443, 1, 9))))
    assert answered.after == pytest.approx(0.02)
    assert (answered.ttl, answered.answered, answered.elicited, answered.rejected) == (55, True, True, None)
    dead = react(_exchange(_error(11, 0)))
    assert (dead.expired_at, dead.elicited, dead.rejected) == ("198.51.100.3", False, None)
    for kind, code, version in ((3, 13, 4), (3, 3, 4), (1, 4, 6)):
        rejected = react(_exchange(_error(kind, code, version)))
        assert (rejected.rejected, rejected.elicited, rejected.answered) == ("198.51.100.3", True, False)
    assert react(_exchange(_error(3, 4))).rejected is None  # too big: nobody objects to what it holds
    assert answered.show() == {"answered_ms": 20.0, "ttl": 55, "rejected": False}


def test_as_a_shot() -> None:
    made = shot(4, Reaction(sent=True, expired_at="198.51.100.4"), "198.51.100.4")
    assert (made.ttl, made.elicited, made.expired_at, made.routers) == (4, False, "198.51.100.4", {4: "198.51.100.4"})
    assert shot(9, Reaction(sent=True, after=0.02, ttl=50), None).reply_ttl == 50
