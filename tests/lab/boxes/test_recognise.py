"""What is known by its bytes, and what is done about it."""

from __future__ import annotations

import pytest

from probe.lab.boxes.recognise import Recogniser
from probe.lab.kinds import Recognise
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import quic, rtp, sip, stun
from tests.lab.boxes.seeing import Box

HOME, FAR = "198.18.10.100", "203.0.113.190"
STUN = stun.binding_request(bytes(range(12)))
SIP = b"OPTIONS sip:x@203.0.113.190 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.2\r\nContent-Length: 0\r\n\r\n"
DTLS = b"\x16\xfe\xfd" + bytes(20)
QUIC = quic.client_initial("call.example", bytes(8), b"abc", bytes(32))


def media(number: int, ssrc: int = 7) -> bytes:
    return rtp.encode(rtp.Packet(0, number, 160 * number, ssrc, rtp.silence()))


def twin(payload: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in payload)


def datagram(payload: bytes, port: int = 3478, source_port: int = 5000, *, upstream: bool = True) -> Packet:
    ends = (HOME, FAR) if upstream else (FAR, HOME)
    ports = (source_port, port) if upstream else (port, source_port)
    return Packet(4, *ends, 60, 17, 0, 1, header=Udp(*ports, 0), payload=payload)


def segment(payload: bytes, flags: int = Flags.PSH | Flags.ACK) -> Packet:
    return Packet(4, HOME, FAR, 60, 6, 0, 1, header=Tcp(5000, 5060, 1, 1, flags, 500), payload=payload)


@pytest.mark.parametrize(
    ("match", "payload", "passes"),
    [
        ("stun", STUN, False),
        ("stun", twin(STUN), True),
        ("stun", SIP, True),
        ("sip", SIP, False),
        ("sip", twin(SIP), True),
        ("dtls", DTLS, False),
        ("dtls", twin(DTLS), True),
        ("quic_sni", QUIC, False),
        ("quic_sni", twin(QUIC), True),
        ("quic_sni", QUIC[:-1] + b"x", True),
        ("quic_sni", STUN, True),
    ],
)
def test_it_knows_its_own_and_nothing_else(match: str, payload: bytes, passes: bool) -> None:
    words = ("call",) if match == "quic_sni" else ()
    assert Box(Recognise(at="x", match=(match,), words=words)).see(datagram(payload)) is passes  # type: ignore[arg-type]


def test_media_are_known_by_two_packets_of_one_source() -> None:
    box = Box(Recognise(at="x", match=("rtp",)))
    assert [box.see(datagram(media(number))) for number in (1, 2, 3)] == [True, False, False]
    box = Box(Recognise(at="x", match=("rtp",)))
    assert [box.see(datagram(media(number, ssrc=number))) for number in (1, 2, 3)] == [True, True, True]
    assert [box.see(datagram(twin(media(number)))) for number in (1, 2, 3)] == [True, True, True]


def test_words_ports_and_direction_narrow_it() -> None:
    by_word = Box(Recognise(at="x", match=("sip",), words=("192.168.1.2",)))
    assert (by_word.see(datagram(SIP)), by_word.see(datagram(SIP.replace(b".2\r", b".3\r")))) == (False, True)
    other_name = Box(Recognise(at="x", match=("quic_sni",), words=("press",)))
    assert other_name.see(datagram(QUIC, 443)) is True
    by_port = Box(Recognise(at="x", match=("stun",), ports=(3478, "5000-6000")))
    assert [by_port.see(datagram(STUN, port)) for port in (3478, 5500, 7000)] == [False, False, True]
    downwards = Box(Recognise(at="x", match=("stun",), direction="down"))
    assert downwards.see(datagram(STUN)) is True
    assert downwards.see(datagram(STUN, upstream=False), upstream=False) is False


def test_a_share_of_the_flows_is_chosen_and_stays_chosen() -> None:
    box = Box(Recognise(at="x", match=("stun",), share=0.4))
    first = [box.see(datagram(STUN, source_port=port)) for port in range(1000, 2000)]
    again = [box.see(datagram(STUN, source_port=port)) for port in range(1000, 2000)]
    assert 330 < first.count(False) < 470
    assert first == again


def test_a_call_is_cut_after_a_while_or_some_packets() -> None:
    box = Box(Recognise(at="x", match=("rtp",), after=3.0))
    assert [box.see(datagram(media(number))) for number in (1, 2)] == [True, True]
    box.clock.now += 2.9
    assert box.see(datagram(media(3))) is True
    box.clock.now += 0.2
    assert box.see(datagram(media(4))) is False
    box = Box(Recognise(at="x", match=("stun",), packets=2))
    assert [box.see(datagram(STUN)) for _ in range(4)] == [True, True, False, False]


def test_residual_silences_the_whole_flow_for_a_while() -> None:
    box = Box(Recognise(at="x", match=("stun",), residual=5.0))
    assert box.see(datagram(STUN)) is False
    assert box.see(datagram(b"anything")) is False
    assert box.see(datagram(b"anything", source_port=5001)) is True
    box.clock.now += 5.1
    assert box.see(datagram(b"anything")) is True


def test_over_tcp_it_can_reset_both_ends() -> None:
    box = Box(Recognise(at="x", match=("sip",), transport=("tcp",), action="reset"))
    assert box.see(datagram(SIP)) is True
    assert box.see(segment(SIP)) is False
    assert [(sent.upstream, sent.packet.header.flags) for sent in box.sent if isinstance(sent.packet.header, Tcp)] == [
        (False, Flags.RST | Flags.ACK), (True, Flags.RST | Flags.ACK),
    ]  # fmt: skip


def test_a_new_connection_starts_anew() -> None:
    box = Box(Recognise(at="x", match=("sip",), transport=("tcp",), residual=60.0))
    assert box.see(segment(SIP)) is False
    assert box.see(segment(b"")) is False
    assert box.see(segment(b"", Flags.SYN)) is True


def test_its_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.lab.boxes.recognise._MOST", 10)
    box = Box(Recognise(at="x", match=("stun",), packets=1))
    assert all(box.see(datagram(STUN, source_port=1000 + n)) for n in range(30))
    assert isinstance(box._inspector, Recogniser)
    assert len(box._inspector._flows) == 10
    assert sip.is_sip(SIP)
