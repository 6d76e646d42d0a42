"""Random and mutated packets through every decoder: nothing but MalformedPacket may come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from probe.model.errors import MalformedPacket
from probe.model.reflector import Grant, Received
from probe.wire import dns, http, ip, pcapng, quic, reflector, rtp, sip, stun, tls
from probe.wire.home import home_networks
from probe.wire.mask import mask_addresses
from probe.wire.scrub import Scrubber
from probe.wire.streams import reassemble

COUNT = 120_000


def _scrub(data: bytes) -> None:
    scrubber = Scrubber(frozenset({"192.168.1.5"}), home_networks([]))
    outgoing = bool(data[-1:] < b"\x80")
    scrubbed = bytearray(data)
    scrubber.scrub(scrubbed, outgoing)
    assert len(scrubbed) == len(data)
    again = bytearray(scrubbed)
    scrubber.scrub(again, outgoing)
    assert again == scrubbed


def _packet(data: bytes) -> None:
    packet = ip.decode(data)
    assert ip.decode(ip.encode(packet)).payload == packet.payload


def _message(data: bytes) -> None:
    message = dns.decode(data)
    assert dns.decode(dns.encode(message)) == message


def _stream(data: bytes) -> None:
    cuts = [(data[i] | 0xFFFFFF00, data[i : i + data[i] % 9]) for i in range(0, len(data), 7)]
    assert len(reassemble(cuts, 0xFFFFFF80, limit=200)) <= 200
    assert len(mask_addresses(data, ())) == len(data)
    http.host(data)
    http.title(data)
    tls.server_name(data)
    dns.unframed(data)


def _records(data: bytes) -> None:
    found = tls.records(data)
    tls.handshake_types(found)
    tls.alert(found)


def _stun(data: bytes) -> None:
    assert all(20 < start < end <= len(data) for start, end in stun.address_spans(data))
    message = stun.decode(data)
    assert stun.decode(stun.encode(message)) == message
    stun.fingerprint_fits(data)
    stun.error(message)
    stun.mapped(message)


def _sip(data: bytes) -> None:
    assert sip.size(data) is None or sip.is_sip(data)
    message = sip.decode(data)
    sip.response(message, 200, "OK", tag="x") if message.method else message.status
    sip.sent_from(message.get(b"via"))


def _rtp(data: bytes) -> None:
    packet = rtp.decode(data)
    assert rtp.decode(rtp.encode(packet)) == packet


def _reflector(data: bytes) -> None:
    assert all(len(token) == reflector.TOKEN for _, token in reflector.candidates(data))
    reflector.order(data)
    reflector.read_page(data) if data[:1] == b"<" else reflector.answered(data)


def _quic(data: bytes) -> None:
    quic.header(data)
    quic.decrypt(data)


PACKET: tuple[Callable[[bytes], object], ...] = (_packet, _scrub)
HELLO = tls.client_hello("www.example.com", bytes(32))
PAGE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<title\r\n9\r\n>1.2.3.4<\r\n0\r\n\r\n"
CLASSIC = bytes.fromhex("d4c3b2a1") + bytes(16) + b"\x65" + bytes(11) + b"\1\0\0\0" * 2 + b"\x45"
ID = bytes(range(12))
INVITE = sip.request("INVITE", "far.example", ID.hex(), sip.Client("192.168.1.5"), body=b"v=0")
CALLS = (stun.binding_request(ID, "x"), stun.binding_response(ID, "2001:db8::1", 5),
         stun.refusal(stun.decode(stun.allocate_request(ID)), 401, "no", "r", "n"))  # fmt: skip
MEDIA = (rtp.encode(rtp.Packet(0, 1, 2, 3, b"x" * 20, True, (4,), (5, b"6789"))),)
INITIAL = quic.client_initial("www.example.com", ID, b"", bytes(32))
ARRIVED = Received(data=b"GET / HTTP/1.1\r\n\r\n", port=80)
FAR = (reflector.control(ID, ARRIVED), reflector.page(ARRIVED), reflector.control(ID, Grant(token=ID.hex(), udp=(53,))))
SERVER = bytes.fromhex("160303000a0200000603031122334415030300020228")


def _mutated(random: Random, raw: bytes, other: bytes) -> bytes:
    data = bytearray(raw)
    kind = random.randrange(5)
    if kind == 0:
        for _ in range(random.randint(1, 8)):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    elif kind == 1:
        del data[random.randrange(len(data)) :]
    elif kind == 2:
        at = random.randrange(len(data))
        data[at:] = other[random.randrange(len(other)) :]
    elif kind == 3:
        at = random.randrange(len(data))
        data[at : at + random.randint(1, 4)] = random.choice((b"\0", b"\xff", b"\xff\xff", b"\x7f\xff", b"\xc0\x0c"))
    else:
        data = bytearray(random.randbytes(random.randrange(120)))
        data[:1] = raw[:1]
    return bytes(data)


def test_nothing_but_malformed_packet(samples: tuple[bytes, ...], capsys: pytest.CaptureFixture[str]) -> None:
    random = Random(20190507)
    message = dns.decode(dns.query("www.example.com", 7, edns=1232))
    answer = dns.encode(dns.answer(message, [dns.record("www.example.com", dns.CNAME, "a.example.com"),
                                             dns.record("a.example.com", dns.A, "192.0.2.1")]))
    capture = pcapng.write([(5, True, samples[0]), (6, False, samples[1])], ["log"], "x")
    kinds: tuple[tuple[tuple[bytes, ...], tuple[Callable[[bytes], object], ...], int], ...] = (
        (samples, PACKET, 50),
        ((answer, dns.query("x.y", 1), dns.framed(answer)), (_message,), 12),
        ((HELLO, SERVER, PAGE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (_stream, _records, http.decode_response), 10),
        ((capture, CLASSIC), (pcapng.read,), 6),
        (CALLS, (_stun,), 8),
        ((INVITE, sip.response(sip.decode(INVITE), 180, "Ringing")), (_sip,), 8),
        (MEDIA, (_rtp,), 4),
        (FAR, (_reflector,), 4),
        ((INITIAL, quic.initial(ID, b"", b"\6\0\3abc", number=3)), (_quic,), 2),
    )
    decoded: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for raws, decoders, share in kinds:
        for _ in range(COUNT * share // 100):
            data = _mutated(random, random.choice(raws), random.choice(raws))
            for decoder in decoders:
                try:
                    decoder(data)
                except MalformedPacket:
                    refused[decoder.__name__] += 1
                else:
                    decoded[decoder.__name__] += 1
    with capsys.disabled():
        print(f"\n{COUNT} random and mutated packets: {sum(decoded.values())} read, {sum(refused.values())} refused")
    names = {decoder.__name__ for _, decoders, _ in kinds for decoder in decoders}
    assert set(decoded) == names, "mutations so mild that some pass every decoder"
    assert set(refused) == names - {"_stream"}, "and so wild that every strict one refuses some"
