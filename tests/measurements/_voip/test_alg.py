"""Requests that arrive otherwise than they were sent, and who did it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measurements._voip.alg import Gateway, altered, changes, place_gateway
from probe.measurements._voip.call import Call, Caller
from probe.model.packet import Packet, Udp
from probe.model.reflector import Received
from probe.wire import reflector
from tests.measurements.simcalls import Alg, calls_net
from tests.measurements.simfar import EPOCH, FAR, HOME, SETTINGS
from tests.measurements.simnet import Internet, Network, drive

CALLER = Caller(FAR[4], reflector.mint(SETTINGS.secret, reflector.source_key(HOME[4]), EPOCH), Random(1))
INVITE = CALLER.request(Call("sip", 5060, True, False, 1), "INVITE")


def copy(data: bytes, size: int = 0) -> Received:
    return Received(data=data, size=size or len(data))


def test_what_arrives_as_it_was_sent_is_not_altered() -> None:
    assert altered(INVITE, copy(INVITE)) == ()
    assert altered(INVITE, copy(INVITE[:300], len(INVITE))) == ()


def test_lines_are_named() -> None:
    other = INVITE.replace(b"c=IN IP4 192.168.1.100", b"c=IN IP4 0.0.0.0").replace(b"UDP 192.168.1.100", b"UDP 0.0.0.0")
    assert altered(INVITE, copy(other)) == ("Via", "SDP c")
    assert altered(INVITE, copy(INVITE.replace(b"Max-Forwards: 70\r\n", b""))) == ("Max-Forwards",)
    added = INVITE.replace(b"CSeq", b"X-Box: 1\r\nCSeq")
    assert altered(INVITE, copy(added)) == ("X-Box (added)",)
    assert altered(INVITE, copy(INVITE + b" ")) == ("length",)


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_any_copy_can_be_compared(data: bytes, size: int) -> None:
    assert altered(INVITE, copy(data, size)) != () or (size == len(INVITE) and INVITE.startswith(data))


def quote(payload: bytes, length: int | None = None) -> Packet:
    header = Udp(1, 5060, 8 + len(payload) if length is None else length)
    return Packet(4, "0.0.0.0", FAR[4], 1, 17, 28, header=header, payload=payload)


def test_quotes() -> None:
    length = 8 + len(INVITE)
    assert changes(INVITE, quote(INVITE)) is False
    assert changes(INVITE, quote(INVITE[:500], length)) is False
    assert changes(INVITE, quote(b"", length)) is None  # 8 bytes only
    assert changes(INVITE, quote(b"", length + 3)) is True
    assert changes(INVITE, quote(INVITE.replace(b"192", b"193"), length)) is True


def find(network: Network, seed: int = 1) -> Gateway:
    return drive(place_gateway(CALLER, 5060, ("Via",), 0.5, 12), Internet(network, seed))


@pytest.mark.parametrize("hop", [3, 4, 5, 6, 7])
def test_a_gateway_on_the_line(hop: int) -> None:
    for seed in range(5):
        found = find(calls_net(loss=0.02, boxes=(Alg(at=hop),)), seed)
        assert found.guilty
        assert found.place is not None
        assert found.place.clean_ttl < hop <= found.place.first_ttl


@pytest.mark.parametrize("hop", [1, 2, 8, 9])
def test_home_and_far_end_are_never_guilty(hop: int) -> None:
    for seed in range(5):
        assert not find(calls_net(boxes=(Alg(at=hop),)), seed).guilty


def test_routers_that_quote_little_or_nothing_show_no_one() -> None:
    assert not find(calls_net(short_quotes=True)).guilty
    assert not find(calls_net(silent=frozenset(range(2, 9)), boxes=(Alg(at=5),))).guilty
