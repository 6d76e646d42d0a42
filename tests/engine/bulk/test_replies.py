"""Replies: read as the decoder of packets reads them, and never an error whatever comes."""

from __future__ import annotations

import struct
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.engine.bulk.frames import SHAPES, Kind, numbered
from probe.engine.bulk.replies import Heard, read
from probe.model.packet import Flags, Icmp, Packet, Tcp
from probe.wire import ip
from probe.wire.address import address_bytes
from tests.engine.bulk.test_frames import ENDS, probe

OWN, PORT = 0xF123, 443
ROUTER = {4: "198.51.100.7", 6: "2001:db8:5::7"}
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def heard(raw: bytes, own: int = OWN) -> Heard | None:
    """Read in the midst of other bytes, as a ring holds them."""
    return read(b"\xee" * 13 + raw + b"\xee" * 9, 13, len(raw), own)


def error(version: int, kind: Kind, type_: int, code: int, number: int, cut: int = 0) -> bytes:
    """An ICMP error that quotes a probe, as far as ``cut`` (0: whole)."""
    quoted = probe(version, kind, 1, number)
    source, _ = ENDS[version]
    body = struct.pack(">BBHI", type_, code, 0, 0) + (quoted[:cut] if cut else quoted)
    if version == 4:
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 250, 1, 0,
                           address_bytes(ROUTER[4]), address_bytes(source))  # fmt: skip
        return head + body
    ends = address_bytes(ROUTER[6]), address_bytes(source)
    return struct.pack(">IHBB16s16s", 6 << 28, len(body), 58, 250, *ends) + body


def key(version: int, kind: Kind) -> bytes:
    return address_bytes(ENDS[version][1]) + (PORT if kind == "tcp" else 0).to_bytes(2, "big")


@pytest.mark.parametrize(("version", "kind"), list(SHAPES))
@given(number=st.integers(0, 0xFFFF))
def test_errors_name_the_probe_and_the_router(version: int, kind: Kind, number: int) -> None:
    exceeded, unreachable = (11, 3) if version == 4 else (3, 1)
    shortest = 28 if version == 4 else 48
    for cut in (0, shortest):
        raw = error(version, kind, exceeded, 0, number, cut)
        assert heard(raw) == (key(version, kind), number, "expired", address_bytes(ROUTER[version]), 250, 0)
        raw = error(version, kind, unreachable, 13, number, cut)
        assert heard(raw) == (key(version, kind), number, "unreachable", address_bytes(ROUTER[version]), 250, 13)
    assert heard(error(version, kind, exceeded, 0, number, shortest - 1)) is None
    assert heard(error(version, kind, exceeded, 0, number), OWN + 1) is None
    assert heard(error(version, kind, 4 if version == 4 else 2, 0, number)) is None


@VERSIONS
@given(number=st.integers(0, 0xFFFF), flags=st.sampled_from([Flags.SYN | Flags.ACK, Flags.RST | Flags.ACK]))
def test_the_far_end_says_open_or_closed(version: int, number: int, flags: Flags) -> None:
    source, destination = ENDS[version]
    header = Tcp(PORT, OWN, 77, (numbered(number) + 1) & 0xFFFFFFFF, flags, 100)
    raw = ip.encode(Packet(version, destination, source, 53, 6, 0, header=header))
    said = "open" if flags & Flags.SYN else "closed"
    assert heard(raw) == (key(version, "tcp"), number, said, address_bytes(destination), 53, 0)


@VERSIONS
@pytest.mark.parametrize(
    ("flags", "acknowledgement"),
    [(Flags.SYN, 0), (Flags.ACK, 1), (Flags.SYN | Flags.ACK, 12345), (Flags.RST, 1), (Flags.RST | Flags.ACK, 0)],
)
def test_a_segment_that_acknowledges_no_probe_is_none(version: int, flags: Flags, acknowledgement: int) -> None:
    source, destination = ENDS[version]
    raw = ip.encode(Packet(version, destination, source, 53, 6, 0, header=Tcp(PORT, OWN, 1, acknowledgement, flags, 9)))
    assert heard(raw) is None


@VERSIONS
def test_an_echo_reply(version: int) -> None:
    source, destination = ENDS[version]
    kind, protocol = (0, 1) if version == 4 else (129, 58)
    header = Icmp(kind, 0, 0, OWN << 16 | 300)
    packet = Packet(version, destination, source, 61, protocol, 0, header=header, payload=b"12")
    assert heard(ip.encode(packet)) == (key(version, "icmp"), 300, "reply", address_bytes(destination), 61, 0)
    assert heard(ip.encode(packet), OWN - 1) is None


@given(st.binary(max_size=160))
def test_no_bytes_are_an_error(raw: bytes) -> None:
    heard(raw)


@given(st.data())
def test_a_damaged_reply_is_read_or_is_none(data: st.DataObject) -> None:
    version, kind = data.draw(st.sampled_from(list(SHAPES)))
    raw = bytearray(error(version, kind, 11 if version == 4 else 3, 0, 5))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    found = heard(cut)
    assert found is None or found[2] in ("open", "closed", "reply", "expired", "unreachable")


def test_every_kind_is_tried() -> None:
    assert set(SHAPES) == set(product((4, 6), ("tcp", "icmp")))
