"""The certificates of a time stamp in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.collector.dossier.der import in_order
from probe.model.errors import MalformedRecord


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    long = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(long)]) + long) + content


def response(*certificates: bytes) -> bytes:
    signed = element(0x30, element(2, b"\3"), element(0x31), element(0x30), element(0xA0, *certificates), element(0x31))
    token = element(0x30, element(6, b"\x2a"), element(0xA0, signed))
    return element(0x30, element(0x30, element(2, b"\0")), token)


@given(st.lists(st.binary(max_size=300)))
def test_they_are_sorted_and_nothing_else_changes(some: list[bytes]) -> None:
    elements = [element(0x30, one) for one in some]
    assert in_order(response(*elements)) == response(*sorted(elements))


def test_a_refusal_has_no_token() -> None:
    refusal = element(0x30, element(0x30, element(2, b"\2")))
    assert in_order(refusal) == refusal


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(1, 255))
def test_junk_is_our_own_error_or_stays_as_long(junk: bytes, at: int, flip: int) -> None:
    whole = bytearray(response(b"\x30\x03abc", b"\x30\x01a"))
    whole[at % len(whole)] ^= flip
    for broken in (junk, bytes(whole), bytes(whole[: at % len(whole)])):
        try:
            assert sorted(in_order(broken)) == sorted(broken)
        except MalformedRecord as error:
            assert "time stamp" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x80", b"\x30\x85\1\1\1\1\1", b"\x1f\x01a", b"\x30\x05abc"])
def test_what_is_no_der(junk: bytes) -> None:
    with pytest.raises(MalformedRecord):
        in_order(junk)
