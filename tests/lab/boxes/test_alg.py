"""Gateways that rewrite SIP."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from probe.lab.kinds import SipAlg
from probe.model.packet import Packet, Udp
from probe.wire import sip
from tests.lab.boxes.seeing import Box

PUBLIC, FAR = "198.18.10.100", "203.0.113.190"
SDP = b"v=0\r\no=- 1 1 IN IP4 192.168.1.2\r\nc=IN IP4 192.168.1.2\r\nm=audio 4000 RTP/AVP 0\r\n"
INVITE = (
    b"INVITE sip:colibri@203.0.113.190 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bKx\r\n"
    b"Contact: <sip:me@192.168.1.2:5060>\r\nCall-ID: 1192.168.1.2\r\n"
    b"Content-Type: application/sdp\r\nContent-Length: " + str(len(SDP)).encode() + b"\r\n\r\n" + SDP
)


def up(payload: bytes = INVITE, port: int = 5060) -> Packet:
    return Packet(4, PUBLIC, FAR, 60, 17, 0, 1, header=Udp(5062, port, 0), payload=payload)


def changed(box: Box, packet: Packet, *, upstream: bool = True) -> bytes:
    found = box.see(packet, upstream=upstream)
    return found.payload if isinstance(found, Packet) else packet.payload


def test_private_addresses_become_the_public_one() -> None:
    found = sip.decode(changed(Box(SipAlg(at="x")), up()))
    assert found.get(b"via").startswith(b"SIP/2.0/UDP 198.18.10.100:5060")
    assert found.get(b"contact") == b"<sip:me@198.18.10.100:5060>"
    assert found.get(b"call-id") == b"1192.168.1.2"  # no address: more digits stand before it
    assert found.body == SDP.replace(b"192.168.1.2", b"198.18.10.100")
    assert (found.complete, found.get(b"content-length")) == (True, str(len(found.body)).encode())


def test_answers_are_changed_back() -> None:
    box = Box(SipAlg(at="x"))
    changed(box, up())
    answer = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.18.10.100:5060\r\nContent-Length: 0\r\n\r\n"
    down = Packet(4, FAR, PUBLIC, 60, 17, 0, 1, header=Udp(5060, 5062, 0), payload=answer)
    assert b"SIP/2.0/UDP 192.168.1.2:5060" in changed(box, down, upstream=False)
    other = Packet(4, FAR, PUBLIC, 60, 17, 0, 1, header=Udp(5060, 9999, 0), payload=answer)
    assert changed(box, other, upstream=False) == answer


@pytest.mark.parametrize(
    ("payload", "port"),
    [
        (INVITE, 5070),
        (bytes(byte ^ 0xFF for byte in INVITE), 5060),
        (INVITE.replace(b"192.168.1.2", b"198.18.10.9"), 5060),
        (b"OPTIONS sip:x SIP/2.0\r\nVia: 192.168.1.2\xff\r\n: broken", 5060),
    ],
)
def test_what_is_none_of_its_business_stays(payload: bytes, port: int) -> None:
    assert changed(Box(SipAlg(at="x")), up(payload, port)) == payload


def test_ports_can_be_any() -> None:
    assert b"192.168.1.2:5060" not in changed(Box(SipAlg(at="x", ports=())), up(port=40000))


@pytest.mark.lab
@pytest.mark.parametrize(("at", "first_changed"), [("atlas.router", 2), ("atlas.bng", 2), ("atlas.core", 4)])
def test_quotes_show_where_it_stands(internet: Callable[..., Any], listen: Callable[..., Any], at: str,
                                     first_changed: int) -> None:  # fmt: skip
    lab = internet(SipAlg(at=at))
    ear = listen(lab, "atlas")
    found = []
    for ttl in range(1, 6):
        with lab.enter("atlas"):
            phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with phone:
            phone.bind(("192.168.1.2", 5062))
            phone.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            phone.sendto(INVITE, (FAR, 5060))
            (heard,) = ear.packets(1, until=bool)
        found.append(b"Via: SIP/2.0/UDP 198.18.10.100:5060" in heard.header.quoted.payload)
    assert found == [ttl >= first_changed for ttl in range(1, 6)]
