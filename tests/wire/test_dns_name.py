from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.errors import MalformedPacket
from probe.wire.dns_name import NameReader, name_bytes, name_labels


@pytest.mark.parametrize(("name", "wire"), [
    (".", b"\0"), ("", b"\0"), ("a.b", b"\1a\1b\0"), ("a.b.", b"\1a\1b\0"), ("WwW.x", b"\3WwW\1x\0"),
    ("_sip._udp.x", b"\4_sip\4_udp\1x\0"), ("a\\.b", b"\3a.b\0"), ("a\\000\\255.c", b"\3a\0\xff\1c\0"),
    ("a\\\\", b"\2a\\\0"), ("bücher.de", b"\x0dxn--bcher-kva\2de\0"), ("\\032x.é", b"\2 x\7xn--9ca\0"),
])
def test_text_to_wire(name: str, wire: bytes) -> None:
    assert name_bytes(name) == wire


@pytest.mark.parametrize("name", ["a..b", ".a", "x" * 64, "\\256", "a\\", ".".join(["x" * 49] * 6), "é" * 70, "a.."])
def test_impossible_names(name: str) -> None:
    with pytest.raises(MalformedPacket):
        name_bytes(name)


def test_length_limits_are_reached() -> None:
    longest = ".".join(["x" * 63, "x" * 63, "x" * 63, "x" * 61])
    assert len(name_bytes(longest)) == 255
    assert NameReader(name_bytes(longest)).read(0) == (longest, 255)
    with pytest.raises(MalformedPacket):
        name_bytes(longest + "x")


def test_pointers_go_backwards_only() -> None:
    raw = b"\3com\0" + b"\1a\xc0\0" + b"\1b\xc0\5" + b"\xc0\5"
    names = NameReader(raw)
    assert names.read(5) == ("a.com", 9)
    assert names.read(9) == ("b.a.com", 13)
    assert names.read(13) == ("a.com", 15)
    for loop in (b"\xc0\0", b"\1a\xc0\0", b"\xc0\2\xc0\0", b"\xc0"):
        with pytest.raises(MalformedPacket):
            NameReader(loop).read(0)


def test_a_forest_of_pointers_is_given_up() -> None:
    chain = b"\1a\0" + b"".join(b"\1a" + (0xC000 | max(0, 4 * i - 1)).to_bytes(2, "big") for i in range(100))
    names = NameReader(chain)

    def read_all() -> None:
        for _ in range(100):
            names.read(len(chain) - 4)

    with pytest.raises(MalformedPacket, match="entangled"):
        read_all()


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=10))
def test_any_bytes_survive(labels: list[bytes]) -> None:
    raw = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    name, end = NameReader(raw).read(0)
    assert end == len(raw)
    assert name_labels(name) == tuple(labels)
    assert name.isprintable()
    assert name.isascii()
