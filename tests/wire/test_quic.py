from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire import quic, tls
from tests.wire.conftest import Dissect

RANDOM = bytes(range(32))
# RFC 9001, appendix A.1 and A.2
ID = bytes.fromhex("8394c8f03e515708")
FRAME = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010"
    "000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e00050005010000000000330026"
    "0024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305030603"
    "0203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901"
    "100f088394c8f03e51570806048000ffff"
)


def test_the_packet_of_rfc_9001() -> None:
    raw = quic.initial(ID, b"", FRAME, number=2, size=quic.SMALLEST)
    assert len(raw) == 1200
    assert raw[:38].hex() == "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b"
    found = quic.decrypt(raw)
    assert (found.number, found.server_name) == (2, "example.com")
    assert found.header == quic.Header(0xC3, 1, ID, b"")
    assert found.crypto == FRAME[4:]


def test_labels_of_rfc_9001() -> None:
    secret = bytes.fromhex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea")
    assert quic.expand(secret, "quic key", 16).hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert quic.expand(secret, "quic iv", 12).hex() == "fa044b2f42a3fd3b46fb255c"
    assert quic.expand(secret, "quic hp", 16).hex() == "9f50449e04a0e810283a1e9933adedd2"


def test_wireshark_reads_ours(dissect: Dissect) -> None:
    first = quic.client_initial("www.example.com", bytes(range(12)), b"source", RANDOM)
    payloads = [
        first,
        quic.version_negotiation(quic.header(first), (0x1A2A3A4A, 1)),
        quic.client_initial("", ID, b"", RANDOM),
    ]
    fields = ("quic.version", "quic.dcid", "quic.scid", "quic.supported_version",
              "tls.handshake.extensions_server_name",
              "tls.handshake.extensions_alpn_str", "tls.quic.parameter.max_idle_timeout")  # fmt: skip
    rows = dissect(payloads, 443, *fields)
    assert rows[0]["tls.handshake.extensions_server_name"] == "www.example.com"
    assert rows[0]["tls.handshake.extensions_alpn_str"] == "h3"
    assert rows[0]["quic.dcid"].replace(":", "") == bytes(range(12)).hex()
    assert rows[0]["tls.quic.parameter.max_idle_timeout"] == "30000"
    assert rows[1]["quic.supported_version"] == "0x1a2a3a4a,0x00000001"
    assert rows[1]["quic.dcid"].replace(":", "") == b"source".hex()
    assert rows[2]["tls.handshake.extensions_server_name"] == ""
    assert rows[2]["tls.handshake.extensions_alpn_str"] == "h3"


@given(st.text("abcXYZ09-", min_size=1, max_size=60), st.binary(min_size=8, max_size=20), st.binary(max_size=20))
def test_every_name_comes_back(name: str, destination: bytes, source: bytes) -> None:
    raw = quic.client_initial(f"{name}.example", destination, source, RANDOM)
    assert len(raw) == 1200
    found = quic.decrypt(raw)
    assert found.server_name == f"{name}.example"
    assert (found.header.destination, found.header.source) == (destination, source)
    assert quic.is_initial(raw)
    # what the twin is worth: every bit of it differs, and nothing reads it
    twin = bytes(b ^ 0xFF for b in raw)
    assert not quic.is_initial(twin)


def test_no_name() -> None:
    assert quic.decrypt(quic.client_initial("", ID, b"", RANDOM)).server_name is None
    assert quic.decrypt(quic.initial(ID, b"", b"\1", size=1200)).server_name is None


def test_frames_out_of_order_and_over_packets() -> None:
    hello = quic.client_hello("www.example.com", RANDOM, b"")

    def crypto(start: int, end: int) -> bytes:
        return b"\6" + quic.integer(start) + quic.integer(end - start) + hello[start:end]

    acks = b"\1\2\5\0\1\0\1\1\0\3\5\0\0\0\0\0\0"  # ping, ACK of two ranges, ACK with ECN counts
    one = quic.initial(ID, b"", crypto(100, 200) + acks + crypto(0, 100), number=0)
    two = quic.initial(ID, b"", crypto(200, len(hello)) + b"\x1c" + b"\xff" * 9, number=1)
    assert quic.decrypt(one + two).server_name == "www.example.com"
    assert quic.decrypt(one).crypto == hello[:200]
    assert quic.decrypt(two).server_name is None
    assert quic.decrypt(one + two[:-1] + b"?").crypto == hello[:200]


def test_a_servers_answer() -> None:
    raw = quic.initial(b"client", b"server", b"\6\0\5hello", keys=ID, server=True, number=7)
    assert quic.decrypt(raw, ID, server=True).crypto == b"hello"
    for wrong in (None, b"other id"):
        with pytest.raises(MalformedPacket):
            quic.decrypt(raw, wrong, server=True)
    with pytest.raises(MalformedPacket):
        quic.decrypt(raw, ID)


def test_version_negotiation() -> None:
    client = quic.header(quic.client_initial("a.example", ID, b"me", RANDOM))
    head, versions = quic.negotiated(quic.version_negotiation(client))
    assert (head.destination, head.source, versions) == (b"me", ID, (0x1A2A3A4A,))
    with pytest.raises(MalformedPacket):
        quic.negotiated(quic.client_initial("a.example", ID, b"", RANDOM))
    with pytest.raises(MalformedPacket):
        quic.negotiated(quic.version_negotiation(client)[:-1])


@given(st.binary(max_size=90), st.integers(0, 1199))
def test_only_malformed_packet(noise: bytes, at: int) -> None:
    whole = quic.client_initial("a.example", ID, b"", RANDOM)
    for data in (noise, whole[:20] + noise, whole[:at] + noise, quic.initial(ID, b"", noise)):
        for read in (quic.decrypt, quic.header, quic.negotiated):
            with contextlib.suppress(MalformedPacket):
                read(data)


@given(st.integers(0, (1 << 62) - 1))
def test_integers(value: int) -> None:
    raw = quic.integer(value)
    assert quic.read_integer(b"x" + raw, 1) == (value, 1 + len(raw))
    with pytest.raises(MalformedPacket):
        quic.read_integer(raw[:-1], 0)


def test_integers_of_rfc_9000() -> None:
    for value, raw in ((151288809941952652, "c2197c5eff14e88c"), (494878333, "9d7f3e7d"), (15293, "7bbd"), (37, "25")):
        assert quic.integer(value).hex() == raw
    assert quic.read_integer(b"\x40\x25", 0) == (37, 2)
    for impossible in (-1, 1 << 62):
        with pytest.raises(MalformedPacket):
            quic.integer(impossible)


def test_what_is_refused() -> None:
    raw = quic.client_initial("a.example", ID, b"", RANDOM)
    for broken in (raw[:-1], raw[:4] + b"\2" + raw[5:], b"\xe0" + raw[1:], raw[:5] + bytes((21,)) + raw[6:],
                   raw[:300] + b"!" + raw[301:]):  # fmt: skip
        with pytest.raises(MalformedPacket):
            quic.decrypt(broken)
    for frames in (b"\x02\xff", b"\6\0\x40\x99abc", b"\x08stream"):
        with pytest.raises(MalformedPacket):
            quic.decrypt(quic.initial(ID, b"", frames))
    for name, destination, source, random in (
        ("a", b"short", b"", RANDOM), ("a", ID, bytes(21), RANDOM), ("a", ID, b"", b"short"), ("a..b", ID, b"", RANDOM),
    ):  # fmt: skip
        with pytest.raises(MalformedPacket):
            quic.client_initial(name, destination, source, random)
    for destination, frames in ((bytes(21), b""), (ID, bytes(20000))):
        with pytest.raises(MalformedPacket):
            quic.initial(destination, b"", frames)


def test_tls_and_quic_share_the_reading() -> None:
    hello = quic.client_hello("b.example", RANDOM, b"")
    assert hello[0] == tls.CLIENT_HELLO
    assert tls.server_name(b"\x16\3\1" + len(hello).to_bytes(2, "big") + hello) == "b.example"
