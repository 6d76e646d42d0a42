"""What servers of calls tell a client about its own address: STUN's attributes, addresses in the text of SIP.

A twin, whose every bit is flipped, tells as much as the message that it is the twin of.
"""

from __future__ import annotations

from collections.abc import Collection

from probe.wire import sip, stun
from probe.wire.counters import inverted
from probe.wire.mask import addresses_in, mask_addresses

_COOKIE = bytes.fromhex("2112a442")  # RFC 8489, section 5
_PORT = 2
_LEGACY = frozenset({0x0101, 0x0111})  # answers to a Binding Request without a cookie (RFC 3489, 11.1)
_MAPPED_ADDRESS = 1


def mask_call(payload: bytes, keep: Collection[str]) -> bytes:
    """``payload`` without the addresses that a STUN or SIP message, or the twin of one, holds; its length stays.

    A mapped address of STUN becomes 0.0.0.0 (::), with its port and family as they were; FINGERPRINT no longer fits. In
    SIP every address literal is masked as :func:`probe.wire.mask.mask_addresses` does, but those in ``keep``: what we
    wrote ourselves, and who is spoken to.
    """
    masked = _masked(payload, keep)
    if masked is None:
        twin = _masked(inverted(payload), keep) if _may_be_twin(payload) else None
        return payload if twin is None else inverted(twin)
    return masked


def literals(payload: bytes) -> frozenset[str]:
    """Addresses that a SIP message, or the twin of one, holds as text, in canonical form."""
    for text in (payload, inverted(payload)) if _may_be_twin(payload) else (payload,):
        if sip.is_sip(text):
            return addresses_in(text)
    return frozenset()


def _may_be_twin(payload: bytes) -> bool:
    """Flipped, a letter has its first bit set, and a STUN message its first two."""
    return len(payload) >= 20 and payload[0] >= 0x80


def _masked(payload: bytes, keep: Collection[str]) -> bytes | None:
    """The message masked; None where it is neither."""
    if stun.is_stun(payload):
        data, at = bytearray(payload), 0
        while stun.is_stun(rest := payload[at:]):  # over TCP several may follow each other
            message = rest[: 20 + int.from_bytes(rest[2:4], "big")]
            for start, end in stun.address_spans(message):
                if end > start + _PORT:  # a message that is cut may end within the port
                    kind = int.from_bytes(message[start - 6 : start - 4], "big")
                    key = bytes(16) if kind == _MAPPED_ADDRESS else message[4:20]
                    data[at + start + _PORT : at + end] = key.ljust(end - start, b"\0")[: end - start - _PORT]
            at += len(message)
        return bytes(data)
    if sip.is_sip(payload):
        return mask_addresses(payload, keep)
    return _legacy(payload)


def _legacy(payload: bytes) -> bytes | None:
    """An answer of a server that knows no cookie: plain addresses in its attributes."""
    length = int.from_bytes(payload[2:4], "big")
    if len(payload) < 28 or len(payload) != 20 + length or int.from_bytes(payload[:2], "big") not in _LEGACY:
        return None
    data, at = bytearray(payload), 20
    while at + 4 <= len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 + size > len(data):
            return None  # it only looked like one
        if size in (8, 20) and data[at + 4] == 0 and data[at + 5] in (1, 2):
            data[at + 8 : at + 4 + size] = bytes(size - 4)
        at += 4 + size + -size % 4
    return bytes(data)
