from __future__ import annotations

from probe.wire.extensions import walk


def test_skips_what_can_be_skipped() -> None:
    raw = bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([6, 1]) + bytes(14) + b"TCP"
    chain = walk(raw, 0, 0, len(raw))
    assert (chain.protocol, chain.at, chain.spans, chain.whole) == (6, 24, ((0, 8), (8, 24)), True)
    assert (chain.ident, chain.offset, chain.more) == (None, 0, False)


def test_a_later_fragment_ends_the_chain() -> None:
    raw = bytes([60, 0]) + (16 | 1).to_bytes(2, "big") + (0xABCDEF01).to_bytes(4, "big") + bytes(16)
    chain = walk(raw, 44, 0, len(raw))
    assert (chain.protocol, chain.at, chain.ident, chain.offset, chain.more) == (60, 8, 0xABCDEF01, 16, True)


def test_a_header_over_the_end_is_not_whole() -> None:
    raw = bytes([6, 9]) + bytes(20)
    chain = walk(raw, 43, 0, len(raw))
    assert (chain.protocol, chain.at, chain.whole) == (43, 0, False)
    assert not walk(b"\x06", 0, 0, 1).whole
