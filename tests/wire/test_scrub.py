from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from probe.model.errors import MalformedPacket
from probe.model.packet import Icmp, Tcp, Udp
from probe.wire import sip, stun
from probe.wire.address import address_bytes
from probe.wire.checksum import checksum, pseudo_header
from probe.wire.ip import decode
from probe.wire.scrub import Scrubber, home_networks

OWN4, OWN6 = "192.168.1.5", "2001:db8:5:6::5"
HOME = home_networks([ip_interface(OWN4 + "/24"), ip_interface(OWN6 + "/64")])
PUBLIC = "203.0.113.99"  # the home's address outside the NAT
FAR4, FAR6 = "198.51.100.7", "2a00:1450::7"


def _scrubber(**more: Any) -> Scrubber:
    return Scrubber(frozenset({OWN4, OWN6}), HOME, **more)


def _scrubbed(raw: bytes, outgoing: bool, scrubber: Scrubber | None = None) -> bytes:
    data = bytearray(raw)
    (scrubber or _scrubber()).scrub(data, outgoing)
    assert len(data) == len(raw)
    return bytes(data)


def _errors(raw: bytes) -> list[int]:
    """What each checksum of a packet without IP options or extension headers sums to; 0: right. Quotes included."""
    four = raw[0] >> 4 == 4
    at, protocol = (20, raw[9]) if four else (40, raw[6])
    addresses = raw[12:20] if four else raw[8:40]
    half = len(addresses) // 2
    found = [checksum(raw[:20])] if four else []
    pseudo = pseudo_header(addresses[:half], addresses[half:], protocol, len(raw) - at)
    found.append(checksum(raw[at:], 0 if protocol == 1 else pseudo))
    if (protocol, raw[at]) in ((1, 11), (1, 3), (58, 3), (58, 1)):
        found += _errors(raw[at + 8 :])
    return found


ADDRESS4 = st.sampled_from([OWN4, "192.168.1.1", "192.168.7.7", "169.254.1.1", "10.0.0.1", PUBLIC, FAR4])
ADDRESS6 = st.sampled_from([OWN6, "2001:db8:5:7::1", "fe80::1", "fd00::9", FAR6])
PORT = st.integers(1, 65535)


@st.composite
def _traffic(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A packet as scapy builds it, perhaps an ICMP error around another, and its direction."""
    address, layer = draw(st.sampled_from([(ADDRESS4, IP), (ADDRESS6, IPv6)]))
    outgoing = draw(st.booleans())

    def packet(out: bool) -> Any:
        ends = {"src": OWN4 if layer is IP else OWN6, "dst": draw(address)}
        if not out:
            ends = {"src": ends["dst"], "dst": ends["src"]}
        transport = draw(st.sampled_from([TCP, UDP]))(sport=draw(PORT), dport=draw(PORT))
        return layer(**ends) / transport / Raw(draw(st.binary(min_size=2, max_size=30)))

    whole = packet(outgoing)
    if draw(st.booleans()):
        error = ICMP(type=11) if layer is IP else ICMPv6TimeExceeded()
        whole = layer(src=whole.src, dst=whole.dst) / error / Raw(bytes(packet(not outgoing)))
    return bytes(whole), outgoing


@given(_traffic(), st.integers(0, 0xFFFF))
def test_checksums_keep_their_error_and_no_own_address_is_left(traffic: tuple[bytes, bool], spoil: int) -> None:
    raw, outgoing = traffic
    clean = _scrubbed(raw, outgoing)
    assert not any(_errors(raw)), "scapy computed them"
    assert not any(_errors(clean))
    assert address_bytes(OWN4) not in clean
    assert address_bytes(OWN6) not in clean
    packet = decode(clean)
    assert "0.0.0.0" in (packet.source, packet.destination) or "::" in (packet.source, packet.destination)
    quoted = packet.header.quoted if isinstance(packet.header, Icmp) else None
    for one in filter(None, (packet, quoted)):
        assert not any(ip_address(a) in net for a in (one.source, one.destination) for net in HOME)
    assert _scrubbed(clean, outgoing) == clean
    wrong = bytearray(raw)
    wrong[-2:] = spoil.to_bytes(2, "big")
    assert _errors(_scrubbed(bytes(wrong), outgoing)) == _errors(bytes(wrong))


def test_everything_but_the_home_s_addresses_stays() -> None:
    raw = bytes(IP(src=OWN4, dst=FAR4, ttl=9, id=77) / TCP(sport=4000, dport=80, seq=5) / Raw(b"data"))
    before, after = decode(raw), decode(_scrubbed(raw, True))
    assert (after.source, after.destination, after.ttl, after.ident) == ("0.0.0.0", FAR4, 9, 77)
    assert isinstance(before.header, Tcp)
    assert isinstance(after.header, Tcp)
    assert (after.header.source_port, after.header.sequence, after.payload) == (4000, 5, b"data")


def test_stand_ins_are_numbered_in_order_of_first_sight_and_stay() -> None:
    scrubber = _scrubber()
    seen = []
    for source in ("192.168.1.1", "fe80::1", "192.168.1.2", FAR4, "192.168.1.1", "fd00::2", "10.0.0.1"):
        layer, own = (IPv6, OWN6) if ":" in source else (IP, OWN4)
        seen.append(decode(_scrubbed(bytes(layer(src=source, dst=own) / UDP()), False, scrubber)).source)
    assert seen == ["0.0.0.1", "::1", "0.0.0.2", FAR4, "0.0.0.1", "::2", "10.0.0.1"]


def test_what_is_kept() -> None:
    scrubber = _scrubber(keep=(ip_network("192.168.9.0/24"),), destinations=frozenset({"192.168.1.80"}))
    for far in ("192.168.9.1", "192.168.1.80"):
        packet = decode(_scrubbed(bytes(IP(src=OWN4, dst=far) / UDP()), True, scrubber))
        assert (packet.source, packet.destination) == ("0.0.0.0", far)


def test_a_quote_never_shows_who_sent_it() -> None:
    inner = bytes(IP(src=PUBLIC, dst=FAR4) / UDP(sport=4000, dport=53) / Raw(b"q"))
    raw = bytes(IP(src="192.168.1.1", dst=OWN4) / ICMP(type=11) / Raw(inner))
    packet = decode(_scrubbed(raw, False))
    assert isinstance(packet.header, Icmp)
    assert packet.header.quoted is not None
    assert packet.source == "0.0.0.1"
    assert (packet.header.quoted.source, packet.header.quoted.destination) == ("0.0.0.0", FAR4)
    back = bytes(IP(src=FAR4, dst=OWN4) / UDP(sport=53, dport=4000))
    ours = decode(_scrubbed(bytes(IP(src=OWN4, dst=FAR4) / ICMP(type=3, code=3) / Raw(back)), True))
    assert isinstance(ours.header, Icmp)
    assert ours.header.quoted is not None
    assert (ours.header.quoted.source, ours.header.quoted.destination) == (FAR4, "0.0.0.0")


def test_a_cut_quote_and_a_cut_capture() -> None:
    inner = bytes(IP(src=OWN4, dst=FAR4) / TCP(sport=4000, dport=80))
    for size in (20, 24, 28, 39):
        clean = _scrubbed(bytes(IP(src=FAR4, dst=OWN4) / ICMP(type=11) / Raw(inner[:size])), False)
        assert checksum(clean[20:]) == checksum(clean[28:48]) == 0
        assert address_bytes(OWN4) not in clean
    assert _scrubbed(inner[:30], True)[12:16] == bytes(4)


def test_a_switched_off_udp_checksum_stays_off() -> None:
    packet = decode(_scrubbed(bytes(IP(src=OWN4, dst=FAR4) / UDP(chksum=0)), True))
    assert isinstance(packet.header, Udp)
    assert packet.header.checksum == 0


def test_every_hiding_place(samples: tuple[bytes, ...]) -> None:
    """IP options, IPv6 routes, redirects, neighbour discovery, errors in quotes, padding, a page that echoes."""
    inside = [address_bytes(a) for a in (OWN4, OWN6, "192.168.1.1", "192.168.1.2", "fe80::1")] + [PUBLIC.encode()]
    nested = bytes(IP(src=FAR4, dst=OWN4) / ICMP(type=3) / Raw(bytes(
        IP(src=OWN4, dst=FAR4) / ICMP(type=11) / Raw(bytes(IP(src=FAR4, dst=OWN4) / UDP())))))
    padded = bytes(IP(src=FAR4, dst=OWN4) / UDP()) + address_bytes(OWN4)
    odd = bytes(IP(src=FAR4, dst=OWN4) / ICMP(type=11) / Raw(b"\x40" + address_bytes(OWN4)))
    hidden = 0
    for raw in (*samples, nested, padded, odd):
        outgoing = decode(raw).source in (OWN4, OWN6)
        hidden += sum(raw.count(address) for address in inside)
        clean = _scrubbed(raw, outgoing)
        assert not [address for address in inside if address in clean]
        assert decode(clean).payload[:9] in (decode(raw).payload[:9], bytes(9), bytes(5))
        assert _scrubbed(clean, outgoing) == clean
    assert hidden > 60


def test_only_incoming_web_pages_are_masked() -> None:
    text = b"ip 203.0.113.99, keep 198.51.100.7."
    scrubber = _scrubber(destinations=frozenset({FAR4}))

    def payload(sport: int, data: bytes, outgoing: bool = False) -> bytes:
        ends = {"src": OWN4, "dst": FAR4} if outgoing else {"src": FAR4, "dst": OWN4}
        clean = _scrubbed(bytes(IP(**ends) / TCP(sport=sport, dport=sport) / Raw(data)), outgoing, scrubber)
        assert not any(_errors(clean))
        return decode(clean).payload

    masked = b"ip 000.0.000.00, keep 198.51.100.7."
    assert payload(80, text) == payload(8080, text) == masked
    assert payload(9999, b"HTTP/1.1 200 OK\r\n\r\n" + text) == b"HTTP/1.1 200 OK\r\n\r\n" + masked
    assert payload(9999, b"<!DOCTYPE html>" + text + b"!") == b"<!DOCTYPE html>" + masked + b"!"
    assert payload(443, text) == text
    assert payload(80, text, outgoing=True) == text


@pytest.mark.parametrize("raw", [b"", b"\x45", b"\x50" * 40, b"\x45" * 19, b"\x41" + bytes(30), b"\x60" * 39])
def test_what_is_no_packet(raw: bytes) -> None:
    data = bytearray(raw)
    with pytest.raises(MalformedPacket):
        _scrubber().scrub(data, True)
    assert data == raw


def test_many_strangers_do_not_fill_the_memory() -> None:
    scrubber, random = _scrubber(), Random(1)
    raw = bytearray(bytes(IP(src=FAR4, dst=OWN4) / UDP()))
    for _ in range(5000):
        raw[12:16] = random.randbytes(3) + b"\x09"
        raw[12] |= 0x20
        scrubber.scrub(raw, False)
    assert len(scrubber._foreign) <= 4096


def _call(payload: bytes, outgoing: bool, six: bool = False) -> bytes:
    ends = (OWN6, FAR6) if six else (OWN4, FAR4)
    source, destination = ends if outgoing else ends[::-1]
    layer = IPv6 if six else IP
    return bytes(layer(src=source, dst=destination) / UDP(sport=5060, dport=5060) / Raw(payload))


@pytest.mark.parametrize("six", [False, True])
def test_what_a_server_of_calls_saw_is_masked(six: bool) -> None:
    raw = _call(stun.binding_response(bytes(12), PUBLIC, 40001), False, six)
    out = _scrubbed(raw, False)
    assert stun.mapped(stun.decode(decode(out).payload)) == ("0.0.0.0", 40001)
    assert _errors(out) == _errors(raw) == ([0] if six else [0, 0])


def test_in_sip_only_what_we_wrote_and_the_server_stay() -> None:
    client = sip.Client("192.168.77.7")
    invite = sip.request("INVITE", FAR4, "ab" * 12, client, body=sip.session(client, 7078))
    reply = sip.response(sip.decode(invite), 200, "OK", headers=[(b"Contact", b"<sip:echo@" + FAR4.encode() + b">")])
    reply = reply.replace(b";rport", b";rport=40001;received=" + PUBLIC.encode())
    scrubber = _scrubber()
    sent = _call(invite, True)
    assert decode(_scrubbed(sent, True, scrubber)).payload == invite
    out = _scrubbed(_call(reply, False), False, scrubber)
    assert decode(out).payload == reply.replace(PUBLIC.encode(), b"000.0.000.00")
    assert _errors(out) == [0, 0]
    # a router outside quotes what a gateway at home has made of it
    changed = invite.replace(b"192.168.77.7", PUBLIC.encode())
    quote = IP(src="198.51.100.1", dst=OWN4) / ICMP(type=11) / IP(_call(changed, True))
    header = decode(_scrubbed(bytes(quote), False, scrubber)).header
    assert isinstance(header, Icmp)
    assert header.quoted is not None
    assert PUBLIC.encode() not in header.quoted.payload
    assert header.quoted.payload != invite


def test_inside_a_session_the_same_holds() -> None:
    scrubber = _scrubber()
    assert scrubber.text(b"You are 203.0.113.99") == b"You are 000.0.000.00"
    invite = sip.request("OPTIONS", FAR4, "ab" * 12, sip.Client("192.168.77.7"), transport="TLS")
    reply = sip.response(sip.decode(invite), 200, "OK").replace(b";rport", b";received=" + PUBLIC.encode())
    assert scrubber.text(reply, invite) == reply.replace(PUBLIC.encode(), b"000.0.000.00")
    assert scrubber.text(invite, invite) == invite
    mapped = scrubber.text(stun.binding_response(bytes(12), PUBLIC, 40001))
    assert stun.mapped(stun.decode(mapped)) == ("0.0.0.0", 40001)
