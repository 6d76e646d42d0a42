"""Header fields changed in passing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.lab.boxes.rewrite import rewritten
from probe.lab.kinds import Rewrite
from probe.model.packet import Flags, Packet, Tcp, Udp
from tests.lab.boxes.seeing import Box

OPTIONS = bytes.fromhex("020405b4 0402 080a0102030405060708 01 030307 22021e04aabb".replace(" ", ""))
SYN = Packet(4, "198.18.10.100", "203.0.113.10", 60, 6, 0, 77, tos=0xB9,
             header=Tcp(5000, 443, 1, 0, Flags.SYN, 500, options=OPTIONS))  # fmt: skip


def seen(packet: Packet = SYN, *, upstream: bool = True, **how: Any) -> Packet:
    found = Box(Rewrite(at="x", **how)).see(packet, upstream=upstream)
    return found if isinstance(found, Packet) else packet


@pytest.mark.parametrize(
    ("how", "field", "value"),
    [
        ({"dscp": 0}, "tos", 1), ({"ecn": 3}, "tos", 0xBB), ({"dscp": 0, "ecn": 0}, "tos", 0), ({"ttl": 64}, "ttl", 64),
        ({"ip_id": 0}, "ident", 0),
    ],
)  # fmt: skip
def test_fields_are_set_and_nothing_else(how: dict[str, Any], field: str, value: int) -> None:
    assert seen(**how) == msgspec.structs.replace(SYN, **{field: value})


def test_a_drawn_identifier_differs_from_packet_to_packet() -> None:
    box = Box(Rewrite(at="x", ip_id="random"))
    found = {one.ident for _ in range(20) if isinstance(one := box.see(SYN), Packet)}
    assert len(found) > 15


def test_fragments_and_ipv6_keep_their_identifier() -> None:
    fragment = msgspec.structs.replace(SYN, more_fragments=True)
    assert seen(fragment, ip_id=5).ident == 77
    six = Packet(6, "2001:db8::1", "2001:db8::2", 60, 17, 0, None, header=Udp(1, 2, 0))
    assert seen(six, ip_id=5) is six


@pytest.mark.parametrize(
    ("strip", "mss", "left"),
    [
        (set(), 1400, "02040578 0402 080a0102030405060708 01 030307 22021e04aabb"),
        (set(), 9000, "020405b4 0402 080a0102030405060708 01 030307 22021e04aabb"),
        ({4, 5}, 0, "020405b4 0101 080a0102030405060708 01 030307 22021e04aabb"),
        ({8}, 0, "020405b4 0402 01010101010101010101 01 030307 22021e04aabb"),
        ({30, 34}, 0, "020405b4 0402 080a0102030405060708 01 030307 010101010101"),
        ({34}, 0, "020405b4 0402 080a0102030405060708 01 030307 01011e04aabb"),
    ],
)
def test_options_are_overwritten_in_place(strip: set[int], mss: int, left: str) -> None:
    assert rewritten(OPTIONS, strip, mss) == bytes.fromhex(left.replace(" ", ""))


@given(st.binary(max_size=40), st.sets(st.integers(0, 255)), st.integers(0, 65535))
def test_any_options_keep_their_length(options: bytes, strip: set[int], mss: int) -> None:
    assert len(rewritten(options, strip, mss)) == len(options)


def test_only_what_it_is_for_is_changed() -> None:
    assert seen(dscp=0, protocols=("udp",)) is SYN
    assert seen(dscp=0, ports=(80,)) is SYN
    assert seen(dscp=0, ports=("400-500",)).tos == 1
    assert seen(dscp=0, direction="down") is SYN
    assert seen(dscp=0, direction="down", upstream=False, ports=(5000,)).tos == 1
    ack = msgspec.structs.replace(SYN, header=Tcp(5000, 443, 1, 0, Flags.ACK, 500, options=OPTIONS))
    assert seen(ack, mss=1000) is ack
