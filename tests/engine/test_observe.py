"""What a step heard: its own packets, its answers and errors, and nothing of the flows beside it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from probe.engine.observe import Record, Watch, is_error, local_port, observe, transport
from probe.model.exchange import (
    EchoStep,
    ListenStep,
    PauseStep,
    Sample,
    Session,
    Step,
    StreamStep,
    SynStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.outcome import Entry
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp
from probe.wire import dns, ip
from probe.wire.counters import datagram

FAR, FAR6, ROUTER, HERE, HERE6 = "203.0.113.10", "2001:db8:a0::10", "198.18.1.3", "0.0.0.0", "::"
PORT = 62000
ASK = UdpStep(address=FAR, port=53, payload=dns.query("a.example", 0x1234), match=(0, 2))
OPEN = TcpStep(address=FAR, port=80, payload=b"GET")


def record(ns: int, outgoing: bool, packet: Packet) -> Record:
    data = ip.encode(packet)
    return Record(ns, outgoing, data, ip.decode(data))


def udp(ns: int, outgoing: bool, payload: bytes, *, far: str = FAR, port: int = PORT, remote: int = 53, ttl: int = 64,
        ident: int = 7) -> Record:  # fmt: skip
    here = HERE6 if ":" in far else HERE
    source, destination = (here, far) if outgoing else (far, here)
    ports = (port, remote) if outgoing else (remote, port)
    version = 6 if ":" in far else 4
    packet = Packet(version, source, destination, ttl, 17, 0, None if version == 6 else ident, header=Udp(*ports, 0),
                    payload=payload)  # fmt: skip
    return record(ns, outgoing, packet)


def tcp(ns: int, outgoing: bool, flags: int, sequence: int, payload: bytes = b"", *, ack: int = 0, far: str = FAR,
        ttl: int = 64, remote: int = 80) -> Record:  # fmt: skip
    source, destination = (HERE, far) if outgoing else (far, HERE)
    ports = (PORT, remote) if outgoing else (remote, PORT)
    header = Tcp(*ports, sequence, ack, flags, 1024)
    return record(ns, outgoing, Packet(4, source, destination, ttl, 6, 0, 1, header=header, payload=payload))


def echo(ns: int, outgoing: bool, rest: int, *, ttl: int = 64, far: str = FAR) -> Record:
    v6 = ":" in far
    kind = (128 if outgoing else 129) if v6 else (8 if outgoing else 0)
    here = HERE6 if v6 else HERE
    source, destination = (here, far) if outgoing else (far, here)
    packet = Packet(6 if v6 else 4, source, destination, ttl, 58 if v6 else 1, 0, None if v6 else 9,
                    header=Icmp(kind, 0, rest=rest), payload=b"colibri")  # fmt: skip
    return record(ns, outgoing, packet)


def expired(ns: int, about: Record, *, cut: int = 200, router: str = ROUTER) -> Record:
    """A router's error that quotes ``cut`` bytes behind the IP header."""
    v6 = about.packet.version == 6
    size = (40 if v6 else 20) + cut
    base = ip.encode(Packet(6 if v6 else 4, "2001:db8:1::3" if v6 else router, HERE6 if v6 else HERE, 62,
                            58 if v6 else 1, 0, None if v6 else 3, header=Icmp(3 if v6 else 11, 0)))  # fmt: skip
    quote = about.data[:size]
    if v6:
        data = bytearray(base + quote)
        data[4:6] = (len(data) - 40).to_bytes(2, "big")
    else:
        data = bytearray(base + quote)
        data[2:4] = len(data).to_bytes(2, "big")
    return Record(ns, False, bytes(data), ip.decode(bytes(data)))


def entry(step: Step, began: int = 0, ended: int = 1_000_000_000) -> Entry:
    return Entry(step=step, port=PORT, began=began, ended=ended)


def heard(step: Step, *records: Record, span: tuple[int, int] = (0, 1_000_000_000)) -> list[int]:
    """Times of the records that belong to the step."""
    exchange = observe(entry(step, *span), records)
    return [round(one.at * 1e9) for one in exchange.heard]


def test_a_dns_answer_is_known_by_its_identifier() -> None:
    mine = udp(1, True, ASK.payload)
    answer = ASK.payload[:2] + b"\x81\x80" + bytes(8)
    assert heard(ASK, mine, udp(2, False, answer), udp(3, False, b"\xff\xff" + answer[2:])) == [1, 2]


def test_without_a_match_every_datagram_of_the_flow_answers() -> None:
    step = UdpStep(address=FAR, port=53, payload=b"ping")
    assert heard(step, udp(1, True, b"ping"), udp(2, False, b"any"), udp(3, False, b"thing")) == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        udp(2, False, ASK.payload, far="203.0.113.11"),
        udp(2, False, ASK.payload, remote=5353),
        expired(2, udp(1, True, ASK.payload, far="203.0.113.11")),
        tcp(2, False, Flags.RST, 1),
    ],
    ids=["another server", "another port", "an error about another server", "another protocol"],
)
def test_packets_of_other_flows_are_not_heard(other: Record) -> None:
    assert heard(ASK, udp(1, True, ASK.payload), other) == [1]


def test_nothing_is_an_answer_before_the_question() -> None:
    assert heard(ASK, udp(1, False, ASK.payload)) == []
    exchange = observe(entry(ASK, 0, 9), [udp(1, False, ASK.payload)])
    assert exchange.sent_at is None
    assert exchange.answers == []


def test_the_flow_window_is_closed_on_both_sides() -> None:
    records = [udp(at, True, ASK.payload) for at in (9, 10)] + [udp(at, False, ASK.payload) for at in (19, 20, 21)]
    assert heard(ASK, *records, span=(10, 20)) == [0, 9, 10]


def test_probes_of_one_flow_are_told_apart_by_ttl_payload_and_time() -> None:
    steps = [UdpStep(address=FAR, port=9, payload=bytes([ttl]), ttl=ttl, flow="f") for ttl in (1, 2)]
    sent = [udp(ttl, True, bytes([ttl]), ttl=ttl, remote=9, ident=ttl) for ttl in (1, 2)]
    records = [*sent, expired(10, sent[1]), expired(11, sent[0])]
    assert heard(steps[0], *records) == [1, 11]
    assert heard(steps[1], *records) == [2, 10]


def test_eight_quoted_bytes_name_a_datagram_by_its_identification() -> None:
    steps = [UdpStep(address=FAR, port=9, payload=bytes([ttl]), ttl=ttl, flow="f") for ttl in (1, 2)]
    sent = [udp(ttl, True, bytes([ttl]), ttl=ttl, remote=9, ident=100 + ttl) for ttl in (1, 2)]
    assert heard(steps[0], *sent, expired(9, sent[1], cut=8), expired(10, sent[0], cut=8)) == [1, 10]


def test_a_datagram_that_was_rewritten_on_the_way_is_known_by_its_identification() -> None:
    step = UdpStep(address=FAR, port=5060, payload=b"Via: 192.168.1.2", ttl=3)
    mine = udp(1, True, step.payload, ttl=3, remote=5060, ident=100)
    changed = udp(1, True, b"Via: 203.0.113.9", ttl=3, remote=5060, ident=100)
    another = udp(1, True, b"Via: 203.0.113.9", ttl=3, remote=5060, ident=101)
    assert heard(step, mine, expired(3, changed), expired(4, another)) == [1, 3]


def test_eight_quoted_bytes_name_a_segment_by_its_sequence() -> None:
    step = SynStep(address=FAR, port=80, ttl=3)
    mine, other = tcp(1, True, Flags.SYN, 500, ttl=3), tcp(2, True, Flags.SYN, 600, ttl=4)
    assert heard(step, mine, other, expired(3, other, cut=8), expired(4, mine, cut=8)) == [1, 4]


def test_ipv6_errors_name_their_datagram_by_its_payload() -> None:
    steps = [UdpStep(address=FAR6, port=9, payload=bytes([ttl, 7]), ttl=ttl, flow="f") for ttl in (1, 2)]
    sent = [udp(ttl, True, bytes([ttl, 7]), ttl=ttl, remote=9, far=FAR6) for ttl in (1, 2)]
    assert heard(steps[1], *sent, expired(9, sent[0]), expired(10, sent[1])) == [2, 10]


@pytest.mark.parametrize("spelling", ["2001:DB8:A0::10", "2001:db8:a0:0:0:0:0:10"])
def test_a_step_may_spell_its_address_in_its_own_way(spelling: str) -> None:
    step = UdpStep(address=spelling, port=9, payload=b"x")
    assert heard(step, udp(1, True, b"x", far=FAR6, remote=9), udp(2, False, b"y", far=FAR6, remote=9)) == [1, 2]


@pytest.mark.parametrize("far", [FAR, FAR6])
def test_echoes_are_known_by_identifier_and_sequence(far: str) -> None:
    step = EchoStep(address=far, ttl=5)
    mine = echo(1, True, PORT << 16 | 3, ttl=5, far=far)
    records = [mine, echo(2, False, PORT << 16 | 4, far=far), echo(3, False, PORT << 16 | 3, far=far), expired(4, mine)]
    assert heard(step, *records) == [1, 3, 4]


def test_a_syn_is_answered_by_what_acknowledges_it() -> None:
    step = SynStep(address=FAR, port=80)
    syn = tcp(1, True, Flags.SYN, 0xFFFFFFFF)
    for flags in (Flags.SYN | Flags.ACK, Flags.RST | Flags.ACK):
        assert heard(step, syn, tcp(2, False, flags, 77, ack=0), tcp(3, False, flags, 77, ack=5)) == [1, 2]


def test_two_equal_probes_are_told_apart_by_time() -> None:
    step = SynStep(address=FAR, port=80, flow="f")
    first, second = tcp(10, True, Flags.SYN, 5), tcp(20, True, Flags.SYN, 9)
    answers = [tcp(30, False, Flags.SYN | Flags.ACK, 1, ack=6), tcp(31, False, Flags.SYN | Flags.ACK, 2, ack=10)]
    assert heard(step, first, second, *answers, span=(5, 99)) == [5, 25]
    assert heard(step, first, second, *answers, span=(15, 99)) == [5, 16]


def handshake() -> list[Record]:
    return [tcp(1, True, Flags.SYN, 100), tcp(2, False, Flags.SYN | Flags.ACK, 900, ack=101),
            tcp(3, True, Flags.ACK, 101, ack=901)]  # fmt: skip


def test_a_tcp_flow_keeps_all_its_packets() -> None:
    payload = tcp(4, True, Flags.PSH | Flags.ACK, 101, b"GET", ack=901)
    again = tcp(5, True, Flags.PSH | Flags.ACK, 101, b"GET", ack=901)
    records = [*handshake(), payload, again, tcp(6, False, Flags.RST, 901), expired(7, payload)]
    exchange = observe(entry(OPEN, 0, 99), records)
    assert [round(one.at * 1e9) for one in exchange.heard] == [1, 2, 3, 4, 5, 6, 7]
    assert exchange.sent_at == pytest.approx(4e-9)  # the payload, not its retransmission
    assert [one.packet.header.flags for one in exchange.answers if isinstance(one.packet.header, Tcp)] == [Flags.RST]
    assert len(exchange.errors) == 1
    assert exchange.synack is not None
    assert exchange.synack.at == pytest.approx(2e-9)


def settled(step: Step, *records: Record) -> list[int]:
    watch = Watch(step)
    return [one.ns for one in records if watch.settles(one)]


def test_what_settles_a_tcp_step() -> None:
    path_probe = tcp(4, True, Flags.ACK, 100, ack=901, ttl=2)
    payload = tcp(5, True, Flags.PSH | Flags.ACK, 101, b"GET", ack=901)
    before = [*handshake(), path_probe, payload]
    ack, data = tcp(6, False, Flags.ACK, 901, ack=104), tcp(7, False, Flags.ACK, 901, b"200", ack=104)
    reset, end = tcp(8, False, Flags.RST, 901), tcp(9, False, Flags.FIN | Flags.ACK, 901)
    errors = [expired(10, path_probe, cut=8), expired(11, payload, cut=8)]
    assert settled(OPEN, *before, ack, data, reset, end, *errors) == [7, 8, 9, 11]


def test_what_settles_a_udp_step() -> None:
    mine = udp(1, True, ASK.payload)
    assert settled(ASK, mine, udp(2, False, b"\0\0"), udp(3, False, ASK.payload), expired(4, mine)) == [3, 4]


def test_who_listens_on_hears_what_the_datagram_brought() -> None:
    mine = udp(1, True, ASK.payload)
    later = (mine, udp(2, False, b"\0\0"), udp(3, False, ASK.payload), expired(4, mine))
    assert heard(ListenStep(of=ASK, seconds=1), *later) == heard(ASK, *later) == [1, 3, 4]


def test_a_pause_hears_nothing() -> None:
    assert heard(PauseStep(seconds=1), udp(1, True, b"x"), udp(2, False, b"x")) == []


@pytest.mark.parametrize(
    ("packet", "out", "key"),
    [
        (udp(1, True, b"").packet, True, (17, PORT)),
        (udp(1, False, b"").packet, False, (17, PORT)),
        (udp(1, False, b"").packet, True, (17, 53)),
        (tcp(1, False, Flags.ACK, 1).packet, False, (6, PORT)),
        (echo(1, False, PORT << 16 | 1).packet, False, (1, PORT)),
        (echo(1, False, PORT << 16 | 1, far=FAR6).packet, False, (1, PORT)),
        (expired(1, tcp(1, True, Flags.SYN, 1), cut=8).packet, False, (6, PORT)),
        (Packet(4, FAR, HERE, 64, 47, 0, payload=b"gre"), False, None),
    ],
)
def test_the_flow_of_a_packet(packet: Packet, out: bool, key: Any) -> None:
    assert local_port(packet, out) == key


def test_errors_and_families() -> None:
    assert is_error(expired(1, udp(1, True, b"")).packet)
    assert not is_error(echo(1, False, 1).packet)
    steps: list[Step] = [ASK, OPEN, SynStep(address=FAR, port=1), EchoStep(address=FAR), EchoStep(address=FAR6)]
    assert [transport(step) for step in steps] == [17, 6, 6, 1, 1]


STREAM = StreamStep(address=FAR, port=9, payload=b"\x80\0\0\1" + bytes(20), count=3, counters=((2, 2, 1),))


def test_a_stream_hears_its_own_datagrams_and_all_that_comes_from_there() -> None:
    mine = [udp(n, True, datagram(STREAM, n), remote=9) for n in range(3)]
    other = [udp(10, True, b"another", remote=9), udp(11, False, b"from elsewhere", remote=10)]
    echoes = [udp(20, False, datagram(STREAM, 0), remote=9), udp(21, False, b"whatever", remote=9)]
    gone = expired(30, mine[2], cut=8)
    assert heard(STREAM, *mine, *other, *echoes, gone) == [0, 1, 2, 20, 21, 30]
    exchange = observe(entry(STREAM), [*mine, *other, *echoes, gone])
    assert exchange.sent_at == 0
    assert (len(exchange.answers), len(exchange.errors)) == (2, 1)
    assert transport(STREAM) == transport(ASK)


def test_a_kept_port_begins_with_its_own_syn() -> None:
    step = TcpStep(address=FAR, port=80, payload=b"GET", flow="f")
    late = tcp(1, False, Flags.FIN | Flags.ACK, 4000)  # of the connection before
    records = [late, tcp(2, True, Flags.SYN, 100), tcp(3, False, Flags.SYN | Flags.ACK, 900, ack=101)]
    assert heard(step, *records) == [2, 3]
    assert heard(msgspec.structs.replace(step, flow=""), *records) == [1, 2, 3]


def test_sessions_and_transfers_have_their_ports_for_themselves() -> None:
    data = tcp(4, True, Flags.PSH | Flags.ACK, 101, b"hello", ack=901)
    records = [*handshake(), data, tcp(5, False, Flags.ACK, 901, b"data", ack=106), tcp(6, False, Flags.RST, 905)]
    for step in (TlsStep(address=FAR, port=80), TransferStep(address=FAR, port=80, payload=b"hello")):
        exchange = observe(entry(step), records)
        assert len(exchange.heard) == 6
        assert exchange.sent_at == pytest.approx(4e-9)
        assert transport(step) == transport(OPEN)


def test_what_the_log_says_of_a_session_is_handed_on() -> None:
    session, samples = Session(version="TLSv1.3", chain=(b"leaf",)), (Sample(0.1, 5, 9),)
    told = Entry(step=TlsStep(address=FAR, port=80), port=PORT, ended=99, session=session, samples=samples, note="x")
    exchange = observe(told, handshake())
    assert (exchange.session, exchange.samples, exchange.note) == (session, samples, "x")


def test_a_decoy_is_not_the_payload() -> None:
    step = TransferStep(address=FAR, port=80, payload=b"hello", decoy=b"name", decoy_ttl=3)
    decoy = tcp(4, True, Flags.PSH | Flags.ACK, 101, b"name", ack=901, ttl=3)
    data = tcp(6, True, Flags.PSH | Flags.ACK, 101, b"hello", ack=901)
    exchange = observe(entry(step), [*handshake(), decoy, expired(5, decoy), data])
    assert exchange.sent_at == pytest.approx(6e-9)
    assert len(exchange.errors) == 1


def test_of_two_datagrams_alike_the_traffic_class_tells() -> None:
    plain, marked = udp(1, True, b"x", remote=9), udp(2, True, b"x", remote=9)
    marked = record(2, True, msgspec.structs.replace(marked.packet, tos=0x88))
    step = UdpStep(address=FAR, port=9, payload=b"x", tos=0x88)
    assert heard(step, plain, marked) == [2]
