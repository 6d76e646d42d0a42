"""What boxes do about the packets they see, without a network."""

from __future__ import annotations

import pytest

from probe.lab.boxes import inspect
from probe.lab.kinds import BlockPage, DnsInjector, Drop, ResetInjector
from probe.lab.kinds.base import Where
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import dns, http, tls
from tests.lab.boxes.seeing import Box

HOME, SERVER = "198.18.10.100", "203.0.113.10"
HELLO = tls.client_hello("www.press.example", random=bytes(32))
REQUEST = http.request("www.press.example")
ANSWER = dns.encode(dns.answer(dns.decode(dns.query("press.example", 77))))
HARMLESS = http.request("control.example")


def query(name: str = "www.press.example", qtype: int = dns.A, ttl: int = 7) -> Packet:
    payload = dns.query(name, 77, qtype)
    return Packet(4, HOME, SERVER, ttl, 17, 0, 4321, header=Udp(5000, 53, 0), payload=payload)


def segment(payload: bytes, *, port: int = 6000, flags: int = Flags.PSH | Flags.ACK, version: int = 4) -> Packet:
    source, destination = (HOME, SERVER) if version == 4 else ("2001:db8::1", "2001:db8::2")
    header = Tcp(port, 80, 1000, 2000, flags, 500)
    return Packet(version, source, destination, 7, 6, 0, 4321 if version == 4 else None, header=header, payload=payload)


def back(packet: Packet) -> Packet:
    header = packet.header
    assert isinstance(header, Tcp)
    turned = Tcp(header.destination_port, header.source_port, 2000, 1000, Flags.ACK, 500)
    return Packet(4, packet.destination, packet.source, 60, 6, 0, 1, header=turned, payload=b"")


def tcp(packet: Packet) -> Tcp:
    assert isinstance(packet.header, Tcp)
    return packet.header


@pytest.mark.parametrize(
    ("payload", "where", "found"),
    [
        (HELLO, ("host", "sni"), True),
        (HELLO, ("host",), False),
        (REQUEST, ("host", "sni"), True),
        (REQUEST, ("sni",), False),
        (HARMLESS, ("host", "sni"), False),
        (REQUEST.replace(b"press", b"PRESS"), ("host",), True),
        (HELLO[:40], ("sni",), False),
        (b"GET \xff\xff press.example", ("host", "sni"), False),
        (b"", ("host", "sni"), False),
    ],
)
def test_a_word_is_found_in_a_name_only(payload: bytes, where: tuple[Where, ...], found: bool) -> None:
    assert inspect.forbidden(payload, ("press.example",), where) is found


def test_the_empty_word_is_any_name_but_no_name_is_none() -> None:
    assert inspect.forbidden(HARMLESS, ("",), ("host",))
    assert not inspect.forbidden(b"hello", ("",), ("host", "sni"))


def test_dns_is_forged_from_the_address_asked() -> None:
    box = Box(DnsInjector(at="x", names=("press.example",), copies=3, ttl=99, ip_id=0, delay=0.5))
    assert box.see(query()) is True
    assert [(s.upstream, s.delay, s.packet.ttl, s.packet.ident) for s in box.sent] == [(False, 0.5, 99, 0)] * 3
    reply = box.sent[0].packet
    assert (reply.source, reply.destination, reply.header) == (SERVER, HOME, Udp(53, 5000, 0))
    message = dns.decode(reply.payload)
    assert (message.ident, message.response, message.answers[0].text) == (77, True, "198.18.0.99")


def test_dns_mirrors_or_draws_the_header() -> None:
    box = Box(DnsInjector(at="x", names=("press.example",), ttl="mirror", ip_id="mirror"))
    box.see(query(ttl=3))
    assert (box.sent[0].packet.ttl, box.sent[0].packet.ident) == (3, 4321)
    box = Box(DnsInjector(at="x", names=("press.example",), ttl="random", ip_id="random", copies=20))
    box.see(query())
    assert len({s.packet.ttl for s in box.sent}) > 5
    assert len({s.packet.ident for s in box.sent}) > 15


@pytest.mark.parametrize(
    "packet",
    [
        query("press.example.org"),
        query("express.example"),
        query(qtype=dns.AAAA),
        segment(REQUEST),
        Packet(4, HOME, SERVER, 7, 17, 0, 1, header=Udp(5000, 53, 0), payload=b"\xff"),
        Packet(4, HOME, SERVER, 7, 17, 0, 1, header=Udp(5000, 54, 0), payload=query().payload),
        Packet(4, HOME, SERVER, 7, 17, 0, 1, header=Udp(5000, 53, 0), payload=ANSWER),
    ],
)
def test_dns_leaves_the_rest_alone(packet: Packet) -> None:
    box = Box(DnsInjector(at="x", names=("press.example",), in_path=True))
    assert box.see(packet) is True
    assert box.see(query(), upstream=False) is True
    assert box.sent == []


def test_dns_in_path_swallows_the_query_and_may_deny_the_name() -> None:
    box = Box(DnsInjector(at="x", names=("press.example",), in_path=True, answer="nxdomain", qtypes=("A", "AAAA")))
    assert box.see(query(qtype=dns.AAAA)) is False
    assert dns.decode(box.sent[0].packet.payload).rcode == dns.NXDOMAIN


def test_resets_step_through_the_sequence_space() -> None:
    box = Box(ResetInjector(at="x", words=("press",), copies=3, step=1460, to=("client", "server")))
    assert box.see(segment(REQUEST)) is True
    home = [s.packet for s in box.sent if not s.upstream]
    server = [s.packet for s in box.sent if s.upstream]
    behind = 1000 + len(REQUEST)
    assert [(tcp(p).sequence, tcp(p).acknowledgement) for p in home] == [(2000 + i * 1460, behind) for i in range(3)]
    assert [(p.source, p.destination, tcp(p).source_port) for p in home] == [(SERVER, HOME, 80)] * 3
    assert [(p.source, p.destination, tcp(p).source_port) for p in server] == [(HOME, SERVER, 6000)] * 3
    assert [tcp(p).sequence for p in server] == [behind + i * 1460 for i in range(3)]
    assert {tcp(s.packet).flags for s in box.sent} == {Flags.RST | Flags.ACK}


@pytest.mark.parametrize(
    ("flags", "bits"), [("R", Flags.RST), ("RA", Flags.RST | Flags.ACK), ("FA", Flags.FIN | Flags.ACK)]
)
def test_resets_bear_the_flags_asked_for(flags: str, bits: int) -> None:
    box = Box(ResetInjector(at="x", words=("press",), flags=flags))  # type: ignore[arg-type]
    box.see(segment(HELLO, version=6))
    header = tcp(box.sent[0].packet)
    assert header.flags == bits
    assert (header.acknowledgement == 0) == (not bits & Flags.ACK)
    assert box.sent[0].packet.ident is None


def test_a_firewall_swallows_and_resets_where_the_server_still_is() -> None:
    box = Box(ResetInjector(at="x", words=("press",), in_path=True, to=("server",)))
    assert box.see(segment(REQUEST)) is False
    assert tcp(box.sent[0].packet).sequence == 1000  # the server never got the request
    assert box.see(segment(HARMLESS)) is True
    assert box.see(segment(b"")) is True
    assert len(box.sent) == 1


def test_a_drop_silences_the_flow_for_a_while() -> None:
    box = Box(Drop(at="x", words=("press",), residual=5))
    flow = segment(b"")
    assert box.see(flow) is True
    assert box.see(segment(REQUEST)) is False
    assert (box.see(flow), box.see(back(flow), upstream=False)) == (False, False)
    assert box.see(segment(HARMLESS, port=6001)) is True
    box.clock.now += 5
    assert (box.see(flow), box.see(back(flow), upstream=False)) == (True, True)
    assert box.sent == []


def test_a_drop_by_three_silences_all_flows_to_that_port() -> None:
    box = Box(Drop(at="x", words=("press",), residual=5, tuple_size=3))
    assert box.see(segment(HELLO)) is False
    assert box.see(segment(HARMLESS, port=6001)) is False
    assert box.see(query()) is True
    assert box.see(segment(b"", version=6)) is True


def test_a_page_is_forged_with_a_fin() -> None:
    box = Box(BlockPage(at="x", words=("press",), body="No."))
    assert box.see(segment(REQUEST)) is True
    (sent,) = box.sent
    assert tcp(sent.packet).flags == Flags.FIN | Flags.PSH | Flags.ACK
    assert (tcp(sent.packet).sequence, tcp(sent.packet).acknowledgement) == (2000, 1000 + len(REQUEST))
    answer = http.decode_response(sent.packet.payload)
    assert (answer.status, answer.body) == (403, b"No.")
    assert box.see(segment(HELLO)) is True
    assert len(box.sent) == 1


def test_a_page_in_path_keeps_the_flow_from_the_server_until_it_opens_anew() -> None:
    box = Box(BlockPage(at="x", words=("press",), in_path=True))
    assert box.see(segment(REQUEST)) is False
    assert box.see(segment(b"")) is False
    assert box.see(back(segment(b"")), upstream=False) is False
    assert box.see(segment(b"", flags=Flags.SYN)) is True
    assert box.see(segment(b"")) is True
