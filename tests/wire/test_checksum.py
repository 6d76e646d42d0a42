from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import checksum as scapy_checksum

from probe.wire.checksum import checksum, pseudo_header, updated


def test_example_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_zeros_and_nothing() -> None:
    assert checksum(b"") == checksum(bytes(4)) == 0xFFFF
    assert checksum(b"\xff\xff") == 0


@given(st.binary(max_size=200))
def test_agrees_with_scapy(data: bytes) -> None:
    assert checksum(data) == scapy_checksum(data)


@given(st.binary(max_size=100), st.binary(max_size=100).filter(lambda b: not len(b) & 1))
def test_start_continues_a_sum(data: bytes, before: bytes) -> None:
    assert checksum(before + data) == checksum(data, int.from_bytes(before, "big"))


def test_pseudo_header_is_the_sum_of_its_words() -> None:
    source, destination = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 7])
    layout = source + destination + bytes([0, 6]) + (20).to_bytes(2, "big")
    assert checksum(b"", pseudo_header(source, destination, 6, 20)) == checksum(layout)


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.binary(min_size=2, max_size=30),
       st.integers(0, 0xFFFF))
def test_update_keeps_right_right_and_wrong_wrong(old: bytes, new: bytes, rest: bytes, error: int) -> None:
    rest += b"\x45" + bytes(not len(rest) & 1)  # a real packet is never all zeros
    was, now = checksum(old + rest), checksum(new + rest)
    assert updated(was, old, new) == now
    wrong = (was + error) % 0xFFFF
    assert (updated(wrong, old, new) - now) % 0xFFFF == error % 0xFFFF
