"""A TCP byte stream put together from captured segments (RFC 9293, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable

_WRAP = 1 << 32
_HALF = 1 << 31


def reassemble(segments: Iterable[tuple[int, bytes]], start: int, limit: int = 65536) -> bytes:
    """In-order bytes from sequence number ``start`` up to the first gap, at most ``limit``.

    ``segments`` are (sequence, payload) in the order heard. Of a byte that came more than once the first copy wins, as
    for a receiver that had already taken it. Sequence numbers wrap at 2**32.
    """
    spans: list[tuple[int, bytes]] = []  # disjoint; (offset, bytes)
    for sequence, payload in segments:
        offset = (sequence - start) % _WRAP
        if offset >= _HALF:
            offset -= _WRAP
        if offset < 0:
            payload, offset = payload[-offset:], 0
        payload = payload[: max(0, limit - offset)]
        if payload:
            spans = _merge(spans, offset, payload)
    out = bytearray()
    for offset, payload in spans:
        if offset != len(out):
            break
        out += payload
    return bytes(out)


def _merge(spans: list[tuple[int, bytes]], offset: int, payload: bytes) -> list[tuple[int, bytes]]:
    """``spans`` with those bytes of ``payload`` added that they do not hold yet, sorted by offset."""
    if not spans or spans[-1][0] + len(spans[-1][1]) <= offset:
        spans.append((offset, payload))
        return spans
    end = offset + len(payload)
    added = []
    at = offset
    for known, data in spans:
        if known >= end:
            break
        if known > at:
            added.append((at, payload[at - offset : known - offset]))
        at = max(at, known + len(data))
    if at < end:
        added.append((at, payload[at - offset :]))
    return sorted(spans + added)
