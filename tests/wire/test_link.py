from __future__ import annotations

import pytest

from probe.wire.link import strip

FOUR, SIX = b"\x45four", b"\x60six"
MACS = bytes(12)


@pytest.mark.parametrize(("linktype", "frame", "packet", "outgoing"), [
    (101, FOUR, FOUR, None), (101, SIX, SIX, None), (12, FOUR, FOUR, None), (228, FOUR, FOUR, None),
    (229, SIX, SIX, None),
    (1, MACS + b"\x08\x00" + FOUR, FOUR, None), (1, MACS + b"\x86\xdd" + SIX, SIX, None),
    (1, MACS + b"\x81\x00\x00\x05\x08\x00" + FOUR, FOUR, None),
    (1, MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd" + SIX, SIX, None),
    (113, b"\0\4" + bytes(12) + b"\x08\x00" + FOUR, FOUR, True),
    (113, b"\0\0" + bytes(12) + b"\x86\xdd" + SIX, SIX, False),
    (276, b"\x08\x00" + bytes(8) + b"\4" + bytes(9) + FOUR, FOUR, True),
    (276, b"\x86\xdd" + bytes(18) + SIX, SIX, False),
    (0, b"\2\0\0\0" + FOUR, FOUR, None), (0, b"\0\0\0\x1e" + SIX, SIX, None), (108, b"\0\0\0\2" + FOUR, FOUR, None),
])
def test_strip(linktype: int, frame: bytes, packet: bytes, outgoing: bool | None) -> None:
    assert strip(linktype, frame) == (packet, outgoing)


@pytest.mark.parametrize(("linktype", "frame"), [
    (1, MACS + b"\x08\x06" + FOUR), (1, MACS), (1, b""), (1, MACS + b"\x81\x00"), (1, MACS + b"\x08\x00" + SIX),
    (101, b""), (101, b"\x50"), (228, SIX), (229, FOUR), (113, bytes(15)), (276, bytes(19)), (0, b"\7\0\0\0" + FOUR),
    (0, b"\2"), (105, FOUR), (999, FOUR),
])
def test_what_holds_no_ip(linktype: int, frame: bytes) -> None:
    assert strip(linktype, frame) is None
