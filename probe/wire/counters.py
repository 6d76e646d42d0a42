"""Datagrams of a stream: one payload whose counters grow, or its twin with every bit flipped.

The engine sends what :func:`datagram` says; the rules tell by :func:`number_of` which of them came back.
"""

from __future__ import annotations

from probe.model.errors import MalformedPacket
from probe.model.exchange import StreamStep


def datagram(step: StreamStep, number: int) -> bytes:
    """The payload of a stream's datagram, counted from 0. Counters wrap around at their length.

    Raises MalformedPacket where a counter has no length or does not lie inside the payload.
    """
    payload = bytearray(step.payload)
    for offset, length, increment in step.counters:
        end = offset + length
        if not 0 <= offset < end <= len(payload):
            raise MalformedPacket(f"a counter at {offset} of {length} bytes in a payload of {len(payload)}")
        value = int.from_bytes(payload[offset:end], "big") + number * increment
        payload[offset:end] = (value % (1 << 8 * length)).to_bytes(length, "big")
    return inverted(bytes(payload)) if step.inverted else bytes(payload)


def number_of(step: StreamStep, payload: bytes) -> int | None:
    """Which datagram of the stream a payload is; None: none of them. By the first counter, so 0 where there is none.

    Raises MalformedPacket as :func:`datagram` does.
    """
    for offset, length, increment in step.counters[:1]:
        heard = inverted(payload) if step.inverted else payload
        ahead = int.from_bytes(heard[offset : offset + length], "big")
        ahead -= int.from_bytes(step.payload[offset : offset + length], "big")
        number, rest = divmod(ahead % (1 << 8 * length), increment or 1)
        return number if not rest and number < step.count and datagram(step, number) == payload else None
    return 0 if payload == datagram(step, 0) else None


def inverted(payload: bytes) -> bytes:
    """The payload with every bit flipped: same length, and no filter knows it."""
    return payload.translate(_FLIP)


_FLIP = bytes(255 - value for value in range(256))
