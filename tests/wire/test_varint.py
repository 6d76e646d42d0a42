"""Numbers of variable length: the specifications' examples, both ways, cut short, and without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire import varint


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2_097_151, "ffff7f"),
        (268_435_455, "ffffff7f"),  # MQTT 5, table 1-1
        (2, "02"), (129, "8101"), (12_857, "b964"),  # DWARF 5, figure 30
        (624_485, "e58e26"),
    ],
)  # fmt: skip
def test_the_examples_of_the_specifications(value: int, data: str) -> None:
    assert varint.encode(value) == bytes.fromhex(data)
    assert varint.decode(bytes.fromhex(data), 0, 4) == (value, len(data) // 2)


@given(st.integers(0, 2**70 - 1), st.binary(max_size=3), st.binary(max_size=3))
def test_there_and_back_between_other_bytes(value: int, before: bytes, after: bytes) -> None:
    data = varint.encode(value)
    assert varint.decode(before + data + after, len(before), 10) == (value, len(before) + len(data))
    with pytest.raises(IndexError):
        varint.decode(before + data[:-1], len(before), 10)
    if len(data) > 1:
        with pytest.raises(MalformedPacket, match=f"more than {len(data) - 1} bytes"):
            varint.decode(before + data + after, len(before), len(data) - 1)


@given(st.binary(max_size=12), st.integers(0, 13), st.integers(1, 10))
def test_whatever_is_there_is_a_number_or_refused(data: bytes, at: int, longest: int) -> None:
    try:
        value, end = varint.decode(data, at, longest)
    except IndexError:
        assert all(byte > 0x7F for byte in data[at:])
        assert len(data) - at < longest
    except MalformedPacket:
        assert all(byte > 0x7F for byte in data[at : at + longest])
    else:
        assert at < end <= min(len(data), at + longest)
        assert 0 <= value < 1 << 7 * (end - at)
        assert data[end - 1] < 0x80


def test_negative_numbers_have_no_bytes() -> None:
    with pytest.raises(ValueError, match="byte must be in range"):
        varint.encode(-1)
