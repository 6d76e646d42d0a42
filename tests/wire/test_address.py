from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire.address import address_bytes, address_text


@pytest.mark.parametrize(("raw", "text"), [
    ("c0000201", "192.0.2.1"),
    ("00" * 16, "::"),
    ("20010db8000000000001000000000001", "2001:db8::1:0:0:1"),  # the first of two equal runs
    ("20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"),  # a single zero group is not shortened
    ("00000000000000000000ffffc0000201", "::ffff:192.0.2.1"),
    ("fe800000000000000000000000000000", "fe80::"),
])
def test_canonical_text_of_rfc_5952(raw: str, text: str) -> None:
    assert address_text(bytes.fromhex(raw)) == text
    assert address_bytes(text) == bytes.fromhex(raw)


def _not_mapped(raw: bytes) -> bool:
    return raw[:12] != bytes(10) + b"\xff\xff"


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16).filter(_not_mapped))
def test_text_is_the_standard_library_s(raw: bytes) -> None:
    assert address_text(raw) == str(ipaddress.ip_address(raw))
    assert address_bytes(address_text(raw)) == raw


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "::g", "example.com"])
def test_no_address(text: str) -> None:
    with pytest.raises(MalformedPacket):
        address_bytes(text)


def test_wrong_size() -> None:
    with pytest.raises(MalformedPacket, match="not 5"):
        address_text(b"12345")
