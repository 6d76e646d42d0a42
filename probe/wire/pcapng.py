"""Captures: pcapng (draft-ietf-opsawg-pcapng) written and read, classic pcap (draft-ietf-opsawg-pcap) read.

Packets are raw IP inside, whatever link they were captured on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from probe.model.errors import MalformedPacket
from probe.wire import link
from probe.wire.pcap import MAGICS, Frame, classic_frames

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_END, _COMMENT, _FLAGS, _USER_APPLICATION, _RESOLUTION, _OFFSET = 0, 1, 2, 4, 9, 14
_INBOUND, _OUTBOUND = 1, 2


class Capture(msgspec.Struct, frozen=True):
    """A capture read.

    ``packets`` are (nanoseconds since 1970, outgoing or None where the file does not tell, IP packet).
    ``comments`` are the sections' own. ``linktype`` is that of the first interface, ``dropped`` counts the frames that
    held no IP packet.
    """

    packets: tuple[tuple[int, bool | None, bytes], ...]
    comments: tuple[str, ...]
    linktype: int
    dropped: int = 0


def write(packets: Iterable[tuple[int, bool, bytes]], comments: Sequence[str] = (), software: str = "") -> bytes:
    """A pcapng file of one section and one raw-IP interface, the same bytes for the same arguments.

    ``packets`` are (nanoseconds since 1970, outgoing, IP packet); each comment holds at most 65535 bytes of UTF-8.
    Raises MalformedPacket where something does not fit.
    """
    options = [(_COMMENT, text.encode()) for text in comments]
    if software:
        options.append((_USER_APPLICATION, software.encode()))
    section = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + _options(options)
    interface = struct.pack("<HHI", link.RAW, 0, 0) + _options([(_RESOLUTION, b"\x09")])
    out = [_block(_SECTION, section), _block(_INTERFACE, interface)]
    flags = {direction: _options([(_FLAGS, struct.pack("<I", direction))]) for direction in (_INBOUND, _OUTBOUND)}
    for at, outgoing, packet in packets:
        if not 0 <= at < 1 << 64:
            raise MalformedPacket(f"time stamp {at} does not fit 64 bits")
        head = struct.pack("<IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(packet), _whole(packet))
        body = head + packet + bytes(-len(packet) % 4) + flags[_OUTBOUND if outgoing else _INBOUND]
        out.append(_block(_ENHANCED, body))
    return b"".join(out)


def _whole(packet: bytes) -> int:
    """Bytes that a packet had on the line, by its own word: it may have been cut since."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return max(len(packet), int.from_bytes(packet[2:4], "big"))
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return max(len(packet), 40 + int.from_bytes(packet[4:6], "big"))
    return len(packet)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    out = b""
    for code, value in options:
        if len(value) > 0xFFFF:
            raise MalformedPacket(f"an option of {len(value)} bytes, at most 65535 fit")
        out += struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
    return out + bytes(4) if out else out


def read(data: bytes) -> Capture:
    """Read a pcapng or classic pcap file. Raises MalformedPacket, naming the byte where the file is broken."""
    comments: list[str] = []
    linktypes: list[int] = []
    if data[:4] in MAGICS:
        frames = classic_frames(data, linktypes)
    elif data[:4] == struct.pack(">I", _SECTION):
        frames = _Reader(data, comments, linktypes).frames()
    else:
        raise MalformedPacket("byte 0: neither pcapng nor pcap")
    packets: list[tuple[int, bool | None, bytes]] = []
    dropped = 0
    for frame in frames:
        stripped = link.strip(frame.linktype, frame.data)
        if stripped is None:
            dropped += 1
        else:
            outgoing = stripped[1] if frame.outgoing is None else frame.outgoing
            packets.append((frame.at, outgoing, stripped[0]))
    return Capture(tuple(packets), tuple(comments), linktypes[0] if linktypes else link.RAW, dropped)


class _Interface(msgspec.Struct):
    """``ticks`` per second, ``offset`` in seconds."""

    linktype: int
    snap_length: int
    ticks: int = 1_000_000
    offset: int = 0


class _Reader:
    def __init__(self, data: bytes, comments: list[str], linktypes: list[int]) -> None:
        self._data = data
        self._comments = comments
        self._linktypes = linktypes
        self._order = "<"
        self._interfaces: list[_Interface] = []

    def frames(self) -> Iterator[Frame]:
        at = 0
        while at < len(self._data):
            kind, start, end = self._bounds(at)
            if kind == _SECTION:
                self._section(start, end)
            elif kind == _INTERFACE:
                self._interface(start, end)
            elif kind in (_ENHANCED, _OLD_PACKET, _SIMPLE):
                yield self._simple(start, end) if kind == _SIMPLE else self._packet(kind, start, end)
            at = end + 4

    def _bounds(self, at: int) -> tuple[int, int, int]:
        """Type of the block at ``at``, where its body starts and ends. A section header sets the byte order."""
        data = self._data
        if len(data) - at < 12:
            raise MalformedPacket(f"byte {at}: block cut")
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            magic = data[at + 8 : at + 12]
            orders = {struct.pack("<I", _BYTE_ORDER): "<", struct.pack(">I", _BYTE_ORDER): ">"}
            if magic not in orders:
                raise MalformedPacket(f"byte {at + 8}: no byte-order magic")
            self._order = orders[magic]
        kind, length = struct.unpack_from(self._order + "II", data, at)
        if length < 12 or length % 4 or length > len(data) - at:
            raise MalformedPacket(f"byte {at + 4}: block length {length}")
        end = at + length - 4
        if struct.unpack_from(self._order + "I", data, end)[0] != length:
            raise MalformedPacket(f"byte {end}: block lengths differ")
        return kind, at + 8, end

    def _fields(self, layout: str, start: int, end: int) -> tuple[int, ...]:
        layout = self._order + layout
        if end - start < struct.calcsize(layout):
            raise MalformedPacket(f"byte {start}: block too short")
        return struct.unpack_from(layout, self._data, start)

    def _option_list(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        while end - at >= 4:
            code, length = self._fields("HH", at, end)
            if code == _END:
                return
            if at + 4 + length > end:
                raise MalformedPacket(f"byte {at}: option cut")
            yield code, self._data[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4

    def _section(self, start: int, end: int) -> None:
        _, major, _, _ = self._fields("IHHq", start, end)
        if major != 1:
            raise MalformedPacket(f"byte {start + 4}: pcapng version {major}")
        self._interfaces = []
        for code, value in self._option_list(start + 16, end):
            if code == _COMMENT:
                self._comments.append(value.decode("utf-8", "replace"))

    def _interface(self, start: int, end: int) -> None:
        linktype, _, snap_length = self._fields("HHI", start, end)
        interface = _Interface(linktype, snap_length or 1 << 32)
        for code, value in self._option_list(start + 8, end):
            if code == _RESOLUTION and value:
                interface.ticks = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _OFFSET and len(value) == 8:
                interface.offset = struct.unpack(self._order + "q", value)[0]
        self._interfaces.append(interface)
        self._linktypes.append(linktype)

    def _interface_of(self, number: int, start: int) -> _Interface:
        if number >= len(self._interfaces):
            raise MalformedPacket(f"byte {start}: interface {number} was not described")
        return self._interfaces[number]

    def _packet(self, kind: int, start: int, end: int) -> Frame:
        if kind == _ENHANCED:
            number, high, low, length, _ = self._fields("IIIII", start, end)
        else:
            number, _, high, low, length, _ = self._fields("HHIIII", start, end)
        interface = self._interface_of(number, start)
        at = start + 20
        if at + length > end:
            raise MalformedPacket(f"byte {start}: {length} bytes of packet run over the block's end")
        outgoing: bool | None = None
        for code, value in self._option_list(at + length + -length % 4, end):
            if code == _FLAGS and len(value) == 4:
                direction = struct.unpack(self._order + "I", value)[0] & 3
                outgoing = {_INBOUND: False, _OUTBOUND: True}.get(direction)
        nanoseconds = (high << 32 | low) * 1_000_000_000 // interface.ticks + interface.offset * 1_000_000_000
        return Frame(nanoseconds, outgoing, interface.linktype, self._data[at : at + length])

    def _simple(self, start: int, end: int) -> Frame:
        """A block without time stamp or direction; 0 stands for the time."""
        interface = self._interface_of(0, start)
        (length,) = self._fields("I", start, end)
        length = min(length, interface.snap_length)
        if start + 4 + length > end:
            raise MalformedPacket(f"byte {start}: {length} bytes of packet run over the block's end")
        return Frame(0, None, interface.linktype, self._data[start + 4 : start + 4 + length])
