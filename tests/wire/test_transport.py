from __future__ import annotations

import pytest

from probe.model.errors import MalformedPacket
from probe.model.packet import Tcp, Udp
from probe.wire import transport

SYN = bytes.fromhex("0fa0005000000005000000066002fff0abcd0007020405b4")
HEADER = Tcp(4000, 80, 5, 6, 2, 0xFFF0, 0xABCD, 7, bytes.fromhex("020405b4"))


def test_tcp_byte_for_byte() -> None:
    assert transport.decode_tcp(b"??" + SYN + b"data!", 2, 2 + len(SYN) + 4) == (HEADER, b"data")
    assert transport.encode_tcp(HEADER, b"data") == SYN[:16] + b"\0\0" + SYN[18:] + b"data"


@pytest.mark.parametrize("raw", [SYN[:19], SYN[:12] + b"\x40" + SYN[13:], SYN[:12] + b"\xf0" + SYN[13:]])
def test_tcp_headers_must_be_whole(raw: bytes) -> None:
    with pytest.raises(MalformedPacket):
        transport.decode_tcp(raw, 0, len(raw))


def test_a_quote_may_stop_anywhere() -> None:
    assert transport.decode_tcp_quote(SYN, 0, 7) == (None, SYN[:7])
    assert transport.decode_tcp_quote(SYN, 0, 8) == (Tcp(4000, 80, 5, 0, 0, 0), b"")
    assert transport.decode_tcp_quote(SYN, 0, 14) == (Tcp(4000, 80, 5, 6, 2, 0), b"")
    assert transport.decode_tcp_quote(SYN, 0, 22) == (Tcp(4000, 80, 5, 6, 2, 0xFFF0, 0xABCD, 7, b"\2\4"), b"")
    assert transport.decode_tcp_quote(SYN + b"xy", 0, 26) == (HEADER, b"xy")
    assert transport.decode_udp_quote(SYN, 0, 5) == (None, SYN[:5])
    assert transport.decode_udp_quote(SYN, 0, 8) == (Udp(4000, 80, 0, 5), b"")


def test_udp_byte_for_byte() -> None:
    raw = bytes.fromhex("0fa00035000babcd") + b"abc"
    assert transport.decode_udp(raw + b"surplus", 0, 18) == (Udp(4000, 53, 11, 0xABCD), b"abc")
    assert transport.encode_udp(Udp(4000, 53, 0), b"abc", 11) == raw[:6] + b"\0\0abc"
    for broken in (raw[:7], raw[:5] + b"\7" + raw[6:]):
        with pytest.raises(MalformedPacket):
            transport.decode_udp(broken, 0, len(broken))


def test_options_are_padded_and_bounded() -> None:
    padded = transport.encode_tcp(Tcp(1, 2, 3, 4, 0, 5, options=b"\1\1\1"), b"")
    assert padded[12:] == bytes.fromhex("6000000500000000 01010100")
    with pytest.raises(MalformedPacket):
        transport.encode_tcp(Tcp(1, 2, 3, 4, 0, 5, options=bytes(41)), b"")
