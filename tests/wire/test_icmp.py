from __future__ import annotations

import pytest

from probe.wire import icmp
from probe.wire.checksum import checksum


def _extensions() -> bytes:
    body = bytes.fromhex("20000000 0008 01 01 12345678")
    return body[:2] + checksum(body).to_bytes(2, "big") + body[4:]


@pytest.mark.parametrize(("version", "kind", "rest", "area"), [
    (4, 11, 0x00200000, 128), (4, 3, 0x00210578, 132), (4, 11, 0x00040000, 0), (4, 5, 0x00200000, 0),
    (6, 3, 0x10000000, 128), (6, 2, 0x10000000, 0), (6, 1, 0x02000000, 0),
])
def test_length_field(version: int, kind: int, rest: int, area: int) -> None:
    assert icmp.quote_area(version, kind, rest) == area


def test_errors() -> None:
    assert [k for k in range(256) if icmp.is_error(4, k)] == [3, 4, 5, 11, 12]
    assert [k for k in range(256) if icmp.is_error(6, k)] == [1, 2, 3, 4]


def test_where_the_quote_ends() -> None:
    quote, extensions = bytes(128), _extensions()
    plain = bytes([11, 0, 0, 0, 0, 0, 0, 0]) + quote[:60]
    assert icmp.split_quote(b"??" + plain, 2, 70, 4) == (70, 70)
    marked = bytes([11, 0, 0, 0, 0, 32, 0, 0]) + quote + extensions
    assert icmp.split_quote(marked, 0, len(marked), 4) == (136, 136)
    assert icmp.split_quote(marked, 0, 100, 4) == (100, 100)
    legacy = bytes([11, 0, 0, 0, 0, 0, 0, 0]) + quote + extensions
    assert icmp.split_quote(legacy, 0, len(legacy), 4) == (136, 136)
    not_one = legacy[:-1] + b"\0"
    assert icmp.split_quote(not_one, 0, len(not_one), 4) == (len(not_one), len(not_one))
