"""Classic capture files (draft-ietf-opsawg-pcap), read."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from probe.model.errors import MalformedPacket

MAGICS = {
    bytes.fromhex("d4c3b2a1"): ("<", 1000), bytes.fromhex("a1b2c3d4"): (">", 1000),
    bytes.fromhex("4d3cb2a1"): ("<", 1), bytes.fromhex("a1b23c4d"): (">", 1),
}  # fmt: skip
"""First four bytes → byte order and nanoseconds in the fraction's unit."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One captured frame: nanoseconds since 1970, direction if the file tells it, link type, bytes as captured."""

    at: int
    outgoing: bool | None
    linktype: int
    data: bytes


def classic_frames(data: bytes, linktypes: list[int]) -> Iterator[Frame]:
    """Frames of a file that starts with one of MAGICS; its link type is put in ``linktypes``.

    Raises MalformedPacket, naming the byte where the file is broken.
    """
    order, unit = MAGICS[data[:4]]
    if len(data) < 24:
        raise MalformedPacket(f"byte {len(data)}: file header cut")
    # the upper bits tell about frame check sequences, not the type
    linktype = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    linktypes.append(linktype)
    at = 24
    while at < len(data):
        if len(data) - at < 16:
            raise MalformedPacket(f"byte {at}: record header cut")
        seconds, fraction, length, _ = struct.unpack_from(order + "IIII", data, at)
        at += 16
        if length > len(data) - at:
            raise MalformedPacket(f"byte {at}: {length} bytes of packet run over the file's end")
        yield Frame(seconds * 1_000_000_000 + fraction * unit, None, linktype, data[at : at + length])
        at += length
