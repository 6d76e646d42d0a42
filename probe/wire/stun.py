"""STUN messages (RFC 8489) and what of TURN a call begins with (RFC 8656): Binding, and Allocate up to its refusal."""

from __future__ import annotations

import struct
import zlib
from typing import Literal

import msgspec

from probe.model.errors import MalformedPacket
from probe.wire.address import address_bytes, address_text

COOKIE = 0x2112A442
BINDING, ALLOCATE = 0x001, 0x003
MAPPED_ADDRESS, ERROR_CODE, REALM, NONCE = 0x0001, 0x0009, 0x0014, 0x0015
LIFETIME, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS, REQUESTED_TRANSPORT = 0x000D, 0x0012, 0x0016, 0x0019
XOR_MAPPED_ADDRESS, SOFTWARE, FINGERPRINT = 0x0020, 0x8022, 0x8028
UNAUTHENTICATED = 401

Class = Literal["request", "indication", "success", "error"]
_CLASSES: tuple[Class, ...] = ("request", "indication", "success", "error")
_COOKIE = COOKIE.to_bytes(4, "big")
_HEAD = struct.Struct("!HH4s12s")
_XOR = 0x5354554E  # "STUN" (RFC 8489, 14.7)
_FAMILY = {1: 4, 2: 16}
# Attributes that hold an address: the two that name the client, plain and XORed with the cookie (RFC 3489's too).
_ADDRESSES = frozenset({MAPPED_ADDRESS, XOR_MAPPED_ADDRESS, 0x8020, XOR_RELAYED_ADDRESS, XOR_PEER_ADDRESS})
_XORED = frozenset({XOR_MAPPED_ADDRESS, 0x8020, XOR_RELAYED_ADDRESS, XOR_PEER_ADDRESS})
_UDP_TRANSPORT = b"\x11\0\0\0"


class Attribute(msgspec.Struct, frozen=True):
    """One attribute; ``value`` without its padding."""

    type: int
    value: bytes


class Message(msgspec.Struct, frozen=True):
    """A message. ``transaction`` is 12 bytes, which an answer repeats."""

    method: int
    kind: Class
    transaction: bytes
    attributes: tuple[Attribute, ...] = ()

    def get(self, which: int) -> bytes | None:
        """Value of the first attribute of a type, None if there is none."""
        return next((a.value for a in self.attributes if a.type == which), None)

    def text(self, which: int) -> str:
        """The same as text (SOFTWARE, REALM, NONCE), "" if there is none."""
        return (self.get(which) or b"").decode("utf-8", "replace")


def binding_request(transaction: bytes, software: str = "") -> bytes:
    """A Binding request, as a softphone sends it to learn its outside address. Raises MalformedPacket."""
    return encode(Message(BINDING, "request", transaction, _software(software)), fingerprint=True)


def binding_response(transaction: bytes, address: str, port: int, software: str = "") -> bytes:
    """The answer with XOR-MAPPED-ADDRESS. Raises MalformedPacket."""
    mapped = Attribute(XOR_MAPPED_ADDRESS, _address(address, port, transaction))
    return encode(Message(BINDING, "success", transaction, (mapped, *_software(software))), fingerprint=True)


def allocate_request(transaction: bytes, software: str = "") -> bytes:
    """A TURN Allocate for UDP without credentials, a client's first (RFC 8656, 7.1). Raises MalformedPacket."""
    wanted = (Attribute(REQUESTED_TRANSPORT, _UDP_TRANSPORT), *_software(software))
    return encode(Message(ALLOCATE, "request", transaction, wanted), fingerprint=True)


def refusal(
    request: Message, code: int, reason: str, realm: str = "", nonce: str = "", software: str = ""
) -> bytes:
    """An error response: 401 with realm and nonce is what a TURN server first says. Raises MalformedPacket."""
    if not 300 <= code <= 699:
        raise MalformedPacket(f"{code} is not a STUN error code")
    attributes = [Attribute(ERROR_CODE, bytes((0, 0, code // 100, code % 100)) + reason.encode())]
    attributes += [Attribute(which, text.encode()) for which, text in ((REALM, realm), (NONCE, nonce)) if text]
    message = Message(request.method, "error", request.transaction, (*attributes, *_software(software)))
    return encode(message, fingerprint=True)


def _software(name: str) -> tuple[Attribute, ...]:
    return (Attribute(SOFTWARE, name.encode()),) if name else ()


def encode(message: Message, fingerprint: bool = False) -> bytes:
    """Bytes of a message, with FINGERPRINT behind all else if asked for. Raises MalformedPacket."""
    if len(message.transaction) != 12 or not 0 <= message.method < 1 << 12:
        raise MalformedPacket("a STUN message takes 12 bytes of transaction and a method below 4096")
    body = bytearray()
    for attribute in message.attributes:
        if len(attribute.value) > 0xFFFF or not 0 <= attribute.type <= 0xFFFF:
            raise MalformedPacket(f"STUN attribute {attribute.type:#x} of {len(attribute.value)} bytes")
        body += attribute.type.to_bytes(2, "big") + len(attribute.value).to_bytes(2, "big")
        body += attribute.value + bytes(-len(attribute.value) % 4)
    length = len(body) + 8 * fingerprint
    if length > 0xFFFF:
        raise MalformedPacket(f"{length} bytes of attributes do not fit a STUN message")
    kind, method = _CLASSES.index(message.kind), message.method
    first = (method & 0xF80) << 2 | (kind & 2) << 7 | (method & 0x70) << 1 | (kind & 1) << 4 | method & 15
    data = _HEAD.pack(first, length, _COOKIE, message.transaction) + bytes(body)
    if fingerprint:
        data += FINGERPRINT.to_bytes(2, "big") + b"\0\4" + _crc(data)
    return data


def _crc(data: bytes) -> bytes:
    return (zlib.crc32(data) ^ _XOR).to_bytes(4, "big")


def is_stun(data: bytes) -> bool:
    """Whether bytes begin as a STUN message does: zero bits, length, magic cookie (RFC 8489, 5)."""
    return len(data) >= 20 and not data[0] >> 6 and not data[3] & 3 and data[4:8] == _COOKIE


def decode(data: bytes) -> Message:
    """Decode a datagram's message, FINGERPRINT included. Raises MalformedPacket, also where bytes lack or are left."""
    if not is_stun(data):
        raise MalformedPacket("no STUN message")
    first, length, _, transaction = _HEAD.unpack_from(data)
    if len(data) != 20 + length:
        raise MalformedPacket(f"STUN message of {20 + length} bytes in {len(data)}")
    kind = _CLASSES[(first >> 7 & 2) | (first >> 4 & 1)]
    method = first >> 2 & 0xF80 | first >> 1 & 0x70 | first & 15
    attributes = tuple(Attribute(which, data[at : at + size]) for which, at, size in _walk(data))
    return Message(method, kind, transaction, attributes)


def _walk(data: bytes) -> list[tuple[int, int, int]]:
    """(type, where its value begins, how long it is) of every attribute. Raises MalformedPacket where one is cut."""
    found = []
    at = 20
    while at < len(data):
        which, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if at + 4 + size > len(data):
            raise MalformedPacket("STUN attribute cut")
        found.append((which, at + 4, size))
        at += 4 + size + -size % 4
    return found


def size(data: bytes) -> int | None:
    """Length of the message at the start of a TCP stream, None where its header isn't whole yet (RFC 8489, 6.2.2).

    Raises MalformedPacket where the stream does not begin with one.
    """
    if len(data) < 20:
        return None
    if not is_stun(data):
        raise MalformedPacket("no STUN message")
    return 20 + int.from_bytes(data[2:4], "big")


def fingerprint_fits(data: bytes) -> bool | None:
    """Whether FINGERPRINT, the last attribute, covers these bytes; None where there is none (RFC 8489, 14.7)."""
    if len(data) < 28 or data[-8:-4] != FINGERPRINT.to_bytes(2, "big") + b"\0\4":
        return None
    return data[-4:] == _crc(data[:-8])


def mapped(message: Message) -> tuple[str, int] | None:
    """Address and port that the server saw, from XOR-MAPPED-ADDRESS or else MAPPED-ADDRESS; None without either.

    Raises MalformedPacket where the attribute is cut.
    """
    for which in (XOR_MAPPED_ADDRESS, 0x8020, MAPPED_ADDRESS):
        value = message.get(which)
        if value is None:
            continue
        size = _FAMILY.get(value[1]) if len(value) >= 4 else None
        if size is None or len(value) != 4 + size:
            raise MalformedPacket(f"STUN address of {len(value)} bytes")
        if which in _XORED:
            value = value[:2] + _masked(value[2:], message.transaction)
        return address_text(value[4:]), int.from_bytes(value[2:4], "big")
    return None


def _address(address: str, port: int, transaction: bytes) -> bytes:
    raw = address_bytes(address)
    if not 0 <= port <= 0xFFFF:
        raise MalformedPacket(f"{port} is not a port")
    return bytes((0, 1 if len(raw) == 4 else 2)) + _masked(port.to_bytes(2, "big") + raw, transaction)


def _masked(value: bytes, transaction: bytes) -> bytes:
    """Port and address XORed with the cookie and the transaction (RFC 8489, 14.2)."""
    key = _COOKIE[:2] + _COOKIE + transaction
    return bytes(a ^ b for a, b in zip(value, key, strict=False))


def error(message: Message) -> tuple[int, str] | None:
    """Code and reason of ERROR-CODE; None where there is none or it is cut."""
    value = message.get(ERROR_CODE)
    if value is None or len(value) < 4:
        return None
    return (value[2] & 7) * 100 + value[3], value[4:].decode("utf-8", "replace")


def address_spans(data: bytes) -> list[tuple[int, int]]:
    """(start, end) of every port and address in a message that names an end of the flow: what privacy must mask.

    Lenient where :func:`decode` is strict: of a message that is cut, what is there. Empty for anything else.
    """
    if not is_stun(data):
        return []
    spans = []
    at = 20
    while at + 4 < len(data):
        which, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if which in _ADDRESSES:
            spans.append((min(at + 6, len(data)), min(at + 4 + size, len(data))))
        at += 4 + size + -size % 4
    return [(start, end) for start, end in spans if start < end]
