from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire import stun
from tests.wire.conftest import Dissect

ID = bytes(range(0xC0, 0xCC))
# RFC 5769, 2.2 and 2.3: sample responses of 192.0.2.1:32853, whose MESSAGE-INTEGRITY we carry as it is
RFC5769_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a64300080014"
    "2b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
RFC5769_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5"
    "bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)


@pytest.mark.parametrize(
    ("raw", "address"), [(RFC5769_V4, "192.0.2.1"), (RFC5769_V6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_samples_of_rfc_5769(raw: bytes, address: str) -> None:
    message = stun.decode(raw)
    assert (message.method, message.kind) == (stun.BINDING, "success")
    assert message.text(stun.SOFTWARE) == "test vector"
    assert stun.mapped(message) == (address, 32853)
    assert stun.fingerprint_fits(raw) is True
    assert stun.fingerprint_fits(raw[:9] + b"?" + raw[10:]) is False
    (first, last) = stun.address_spans(raw)[0]
    assert last - first == (18 if ":" in address else 6)
    masked = bytearray(raw)
    masked[first:last] = bytes(last - first)
    assert stun.mapped(stun.decode(bytes(masked))) != (address, 32853)


def test_wireshark_reads_ours(dissect: Dissect) -> None:
    allocate = stun.allocate_request(ID)
    payloads = [
        stun.binding_request(ID, "colibri"),
        stun.binding_response(ID, "192.0.2.7", 40001),
        allocate,
        stun.refusal(stun.decode(allocate), stun.UNAUTHENTICATED, "Unauthenticated", "r.example", "n0"),
        stun.binding_request(ID),
        stun.binding_response(ID, "2001:db8::7", 40002, "far"),
    ]
    fields = ("stun.type", "stun.id", "stun.att.ipv4", "stun.att.ipv6", "stun.att.port", "stun.att.error",
              "stun.att.realm")  # fmt: skip
    rows = dissect(payloads, 3478, *fields, "stun.att.crc32.status")
    assert [row["stun.type"] for row in rows] == ["0x0001", "0x0101", "0x0003", "0x0113", "0x0001", "0x0101"]
    assert {row["stun.id"].replace(":", "").removeprefix("0x") for row in rows} == {ID.hex()}
    assert {row["stun.att.crc32.status"] for row in rows} <= {"1", "Good"}
    assert rows[1]["stun.att.ipv4"] == "192.0.2.7"
    assert (rows[5]["stun.att.ipv6"], rows[5]["stun.att.port"]) == ("2001:db8::7", "40002")
    assert (rows[3]["stun.att.error"], rows[3]["stun.att.realm"]) == ("1", "r.example")
    assert stun.error(stun.decode(payloads[3])) == (401, "Unauthenticated")


@given(
    st.integers(0, 0xFFF),
    st.sampled_from(["request", "indication", "success", "error"]),
    st.binary(min_size=12, max_size=12),
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=30)), max_size=6),
    st.booleans(),
)
def test_round_trip(
    method: int, kind: stun.Class, transaction: bytes, attributes: list[tuple[int, bytes]], fingerprint: bool
) -> None:
    message = stun.Message(method, kind, transaction, tuple(stun.Attribute(*pair) for pair in attributes))
    raw = stun.encode(message, fingerprint=fingerprint)
    again = stun.decode(raw)
    assert again.attributes[: len(attributes)] == message.attributes
    assert (again.method, again.kind, again.transaction) == (method, kind, transaction)
    assert stun.size(raw + b"more") == len(raw)
    assert not fingerprint or stun.fingerprint_fits(raw)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_every_address_comes_back(address: object, port: int, transaction: bytes) -> None:
    raw = stun.binding_response(transaction, str(address), port)
    found = stun.mapped(stun.decode(raw))
    assert found is not None
    assert found[1] == port
    assert stun.binding_response(transaction, found[0], port) == raw
    assert len(stun.address_spans(raw)) == 1


@given(st.binary(max_size=120))
def test_only_malformed_packet(noise: bytes) -> None:
    for data in (noise, stun.binding_request(ID)[:20] + noise, noise[:3] + stun.binding_response(ID, "::1", 1)[3:]):
        with contextlib.suppress(MalformedPacket):
            stun.size(data)
        with contextlib.suppress(MalformedPacket):
            message = stun.decode(data)
            stun.error(message)
            stun.mapped(message)
        for start, end in stun.address_spans(data):
            assert 20 < start < end <= len(data)


def test_what_is_refused() -> None:
    raw = stun.binding_request(ID)
    for broken in (b"", raw[:19], raw[:-4], raw + b"\0\0\0\0", b"\x80" + raw[1:], raw[:4] + b"\0" + raw[5:]):
        with pytest.raises(MalformedPacket):
            stun.decode(broken)
    assert stun.size(raw[:19]) is None
    with pytest.raises(MalformedPacket):
        stun.size(b"GET / HTTP/1.1\r\nHost: a")
    with pytest.raises(MalformedPacket):
        stun.encode(stun.Message(1, "request", b"short"))
    with pytest.raises(MalformedPacket):
        stun.refusal(stun.decode(raw), 200, "OK")
    with pytest.raises(MalformedPacket):
        stun.binding_response(ID, "192.0.2.1", 70000)
    with pytest.raises(MalformedPacket):
        stun.encode(stun.Message(1, "request", ID, (stun.Attribute(1, bytes(70000)),)))


def test_without_address_or_error() -> None:
    message = stun.decode(stun.binding_request(ID))
    assert stun.mapped(message) is None
    assert stun.error(message) is None
    assert stun.fingerprint_fits(stun.encode(stun.Message(1, "request", ID, (stun.Attribute(6, b"user"),)))) is None
    plain = stun.Message(1, "success", ID, (stun.Attribute(stun.MAPPED_ADDRESS, bytes.fromhex("00010050c0000201")),))
    assert stun.mapped(plain) == ("192.0.2.1", 80)
