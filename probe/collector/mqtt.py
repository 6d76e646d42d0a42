"""MQTT 5 (OASIS, 7 March 2019): the packets of a session that stands, as bytes. Pure.

The collector takes thousands of messages a second. paho reads a packet byte by byte and keeps books on each; that takes
it ten times as long as what is here, which knows only what a subscriber at QoS 1 needs. Section numbers are the
standard's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from probe.model.errors import MalformedPacket, MalformedRecord
from probe.wire import varint

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
"""Normal disconnection (3.14)."""

_PUBLISH, _PUBACK, _SUBACK, _PINGRESP, _DISCONNECT = 3, 4, 9, 13, 14
_LONGEST = 4  # bytes of a variable byte integer (1.5.5)
_FAILED = 0x80  # reason codes from here on (2.4)
_CONTENT_TYPE, _EXPIRY, _USER_PROPERTY = b"\x03", b"\x02", b"\x26"  # 3.3.2.3
_U16 = struct.Struct(">H")
_ACK = struct.Struct(">BBH")


class Published(msgspec.Struct, frozen=True):
    """An application message (3.3). ``topic`` is empty if not UTF-8; ``mid`` 0 at QoS 0."""

    topic: str
    payload: bytes
    mid: int
    qos: int


class Acknowledged(msgspec.Struct, frozen=True):
    """The broker has taken a message of ours (3.4)."""

    mid: int


class Subscribed(msgspec.Struct, frozen=True):
    """The answer to a subscription (3.9). ``refused``: the reason code of the first filter that was; 0: none was."""

    mid: int
    refused: int


class Alive(msgspec.Struct, frozen=True):
    """The answer to a ping (3.13)."""


class Farewell(msgspec.Struct, frozen=True):
    """The broker ends the session (3.14)."""

    reason: int


Event = Published | Acknowledged | Subscribed | Alive | Farewell


class Stream:
    """Bytes as they come from the broker, cut into packets."""

    def __init__(self, largest: int) -> None:
        """``largest``: most bytes of a packet."""
        self._largest = largest
        self._parts: list[bytes] = []
        self._have, self._need = 0, 2

    def feed(self, data: bytes) -> list[Event]:
        """What is complete now. Raises MalformedRecord for what no broker may send; the stream is lost then."""
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return []
        if len(self._parts) > 1:
            data = b"".join(self._parts)
        events: list[Event] = []
        try:
            at = self._cut(data, events)
        except MalformedPacket as error:
            raise MalformedRecord("the broker", f"a length with {error} (1.5.5)") from None
        self._parts, self._have = [data[at:]] if at < len(data) else [], len(data) - at
        return events

    def _cut(self, data: bytes, events: list[Event]) -> int:
        """Append what is complete; where the rest begins. Raises MalformedPacket for a length that is none."""
        at, size = 0, len(data)
        while True:
            self._need = 2
            if size - at < 2:
                return at
            length, start = data[at + 1], at + 2
            if length & 0x80:
                try:
                    length, start = varint.decode(data, at + 1, _LONGEST)
                except IndexError:
                    self._need = size - at + 1
                    return at
            if start + length - at > self._largest:
                raise MalformedRecord("the broker", f"a packet of {length} bytes, allowed are {self._largest}")
            if start + length > size:
                self._need = start + length - at
                return at
            try:
                events.append(_event(data, at, start, start + length))
            except (IndexError, struct.error):
                raise MalformedRecord("the broker", "a packet that is shorter than its fields") from None
            at = start + length


def _event(data: bytes, at: int, start: int, end: int) -> Event:
    kind, flags = data[at] >> 4, data[at] & 0x0F
    if kind == _PUBLISH:
        (length,) = _U16.unpack_from(data, start)
        here, qos, mid = start + 2 + length, flags >> 1 & 3, 0
        try:
            topic = data[start + 2 : here].decode()
        except UnicodeDecodeError:
            topic = ""
        if qos:
            (mid,) = _U16.unpack_from(data, here)
            here += 2
        length = data[here]
        here += 1
        if length & 0x80:
            length, here = varint.decode(data, here - 1, _LONGEST)
        here += length
        if here > end or qos == 3:
            raise MalformedRecord("the broker", "a message whose fields do not fit into it (3.3)")
        return Published(topic, data[here:end], mid, qos)
    if kind == _PUBACK:
        if start + 2 > end:
            raise MalformedRecord("the broker", "an acknowledgement of nothing (3.4)")
        return Acknowledged(_U16.unpack_from(data, start)[0])
    if kind == _PINGRESP:
        return Alive()
    if kind == _DISCONNECT:
        return Farewell(data[start] if end > start else 0)
    if kind == _SUBACK:
        length, here = varint.decode(data, start + 2, _LONGEST)
        codes = data[here + length : end]
        return Subscribed(_U16.unpack_from(data, start)[0], next((code for code in codes if code >= _FAILED), 0))
    raise MalformedRecord("the broker", f"packet type {kind}, which nobody asked for")


def acknowledgement(mid: int) -> bytes:
    """PUBACK (3.4): success."""
    return _ACK.pack(0x40, 2, mid)


def subscription(mid: int, filters: Sequence[str], qos: int) -> bytes:
    """SUBSCRIBE (3.8) to topic filters, each at most at ``qos``."""
    body = _U16.pack(mid) + b"\x00" + b"".join(_text(one) + bytes([qos]) for one in filters)
    return b"\x82" + varint.encode(len(body)) + body


def properties(content_type: str, schema: str, expiry: int) -> bytes:
    """Of a message (3.3.2.3): what it is, the user property ``schema``, and its life in seconds (0: without end)."""
    parts = _CONTENT_TYPE + _text(content_type) + _USER_PROPERTY + _text("schema") + _text(schema)
    if expiry:
        parts += _EXPIRY + expiry.to_bytes(4, "big")
    return varint.encode(len(parts)) + parts


def publication(topic: str, payload: bytes, mid: int, about: bytes, *, retain: bool) -> bytes:
    """PUBLISH (3.3) at QoS 1. ``about``: its properties."""
    name = topic.encode()
    head = _U16.pack(len(name)) + name + _U16.pack(mid) + about
    return (b"\x33" if retain else b"\x32") + varint.encode(len(head) + len(payload)) + head + payload


def _text(text: str) -> bytes:
    raw = text.encode()
    return _U16.pack(len(raw)) + raw
