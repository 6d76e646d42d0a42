"""Tokens, control messages and transfer orders of ``colibri.reflector/1``, and where a token lies in each protocol.

A token is 12 bytes: when it was given (2: seconds // 32 modulo 65536), a nonce that the probe may change at will (2),
and a truncated HMAC-SHA256 over the source's address and that time (8). It has the size of a STUN transaction ID on
purpose: real messages of real protocols carry it, and nothing is added to them.

| protocol | the token is |
|---|---|
| control | bytes 4 to 16, behind ``CLB1`` |
| STUN, TURN | the transaction ID |
| SIP | the first 24 characters of Call-ID, hexadecimal |
| RTP | the first 12 bytes behind the 12 of the header |
| QUIC | the first 12 bytes of the Initial's destination connection ID |
| TLS | the first 12 bytes of the ClientHello's session ID; 8 bytes of order follow |
| DNS | the first label, hexadecimal: ``<token>.whoami.<zone>`` |
| anything else | the first 12 bytes |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, TypeVar

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp
from probe.model.reflector import LIFETIME, Answer, Received, Request, Resolver, Transfer
from probe.wire import quic, rtp, sip, stun, tls
from probe.wire.address import address_bytes
from probe.wire.counters import inverted as twin

Place = Literal["control", "stun", "sip", "rtp", "quic", "plain"]
"""Which protocol a datagram with a token speaks."""

MAGIC = b"CLB1"
TOKEN = 12
HELLO_SIZE = 1024
"""Bytes of a HELLO: room for its answer, and within every path's MTU."""
CONTROL_PATH = "/.well-known/colibri/"
WHOAMI, ABSENT, PRESENT = "whoami", "absent", "present"
"""Labels below the reflector's zone: who asks; no such name; a name that has the reflector's own addresses."""
_SLOT = 32
_SLOTS = LIFETIME // _SLOT + 1
_ORDER = struct.Struct("!BBHI")
_DOWN, _UP = 0xD0, 0xB0
_WHOAMI = re.compile(r"network=(self|[0-9a-f:.]{1,45}/\d{1,3}) same=([0-9a-f]{0,16})")
_PAGE = b"""<!DOCTYPE html>
<html lang="en"><title>Colibri reflector</title>
<p>This server helps to measure whether lines carry what is sent over them. What arrived:
<pre id="received">%b</pre></html>
"""
_ON_PAGE = re.compile(rb'<pre id="received">([0-9A-Za-z+/=]{0,131072})</pre>')
_HEX = re.compile(rb"[0-9A-Fa-f]{24}")
_PRINTABLE = bytes(range(33, 127))
_TURNED = bytes.maketrans(_PRINTABLE, _PRINTABLE[47:] + _PRINTABLE[:47])  # ROT47: its own inverse
_MOST_TEXT = 65536
_T = TypeVar("_T")

__all__ = [
    "ABSENT", "CONTROL_PATH", "HELLO_SIZE", "MAGIC", "PRESENT", "TOKEN", "WHOAMI", "Place", "answered", "arrival_id",
    "call_id", "candidates", "connection_id", "control", "hello", "http_path", "label", "mint", "order", "page",
    "parse", "parse_path", "read_page", "read_received", "read_whoami", "received_text", "session_id", "source_key",
    "token_of_label", "token_of_text", "turned_text", "twin", "unpack", "valid", "whoami_text", "with_nonce",
]  # fmt: skip


def source_key(address: str) -> bytes:
    """What a token is bound to: an IPv4 address, or the /64 of an IPv6 one (privacy addresses change within it).

    Raises MalformedPacket.
    """
    raw = address_bytes(address)
    if len(raw) == 16 and raw.startswith(bytes(10) + b"\xff\xff"):
        return raw[12:]
    return raw if len(raw) == 4 else raw[:8]


def mint(secret: bytes, source: bytes, now: float) -> bytes:
    """A token for a source (:func:`source_key`) at ``now``, seconds since the epoch."""
    slot = (int(now) // _SLOT % 65536).to_bytes(2, "big")
    return slot + b"\0\0" + _mac(secret, source, slot)


def _mac(secret: bytes, source: bytes, slot: bytes) -> bytes:
    return hmac.digest(secret, b"colibri token" + slot + source, hashlib.sha256)[:8]


def valid(secret: bytes, token: bytes, source: bytes, now: float) -> bool:
    """Whether a token was given to that source in the last five minutes."""
    if len(token) != TOKEN or (int(now) // _SLOT - int.from_bytes(token[:2], "big")) % 65536 >= _SLOTS:
        return False
    return hmac.compare_digest(token[4:], _mac(secret, source, token[:2]))


def with_nonce(token: bytes, nonce: int) -> bytes:
    """The same token with another nonce (16 bits of it): so that two messages differ, and answers are told apart."""
    return token[:2] + (nonce & 0xFFFF).to_bytes(2, "big") + token[4:]


def control(token: bytes, message: Request | Answer) -> bytes:
    """A control datagram. Its bytes 4 to 16 are the token, which the answer repeats (``match=(4, 12)``)."""
    return MAGIC + token + msgspec.json.encode(message)


def hello(transaction: bytes, message: Request) -> bytes:
    """A control datagram without a token, padded: ``transaction`` is any 12 bytes, which the answer repeats."""
    return control(transaction, message).ljust(HELLO_SIZE)


def unpack(data: bytes) -> tuple[bytes, bytes]:
    """(token, JSON) of a control datagram. Raises MalformedPacket."""
    if len(data) < 4 + TOKEN or not data.startswith(MAGIC):
        raise MalformedPacket("no control datagram")
    return data[4 : 4 + TOKEN], data[4 + TOKEN :]


_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def _decoded(decoder: msgspec.json.Decoder[_T], text: bytes) -> _T:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedPacket(f"no message of colibri.reflector/1: {error}") from None


def parse(text: bytes) -> Request:
    """A request from its JSON. Raises MalformedPacket."""
    return _decoded(_REQUESTS, text)


def answered(data: bytes) -> Answer:
    """The answer that a control datagram, or the body of an HTTP response, holds. Raises MalformedPacket."""
    return _decoded(_ANSWERS, unpack(data)[1] if data.startswith(MAGIC) else data)


def http_path(message: Request, token: bytes = bytes(TOKEN)) -> str:
    """The path of an HTTP request that holds a control message; the token makes it one that no cache knows."""
    return CONTROL_PATH + base64.urlsafe_b64encode(token + msgspec.json.encode(message)).decode().rstrip("=")


def parse_path(path: str) -> tuple[bytes, Request]:
    """(token, request) of such a path. Raises MalformedPacket."""
    text = path.removeprefix(CONTROL_PATH)
    if text == path or not text.isascii():
        raise MalformedPacket("no control path")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedPacket(f"a control path that is not base64: {error}") from None
    if len(raw) < TOKEN:
        raise MalformedPacket("a control path without a token")
    return raw[:TOKEN], parse(raw[TOKEN:])


def call_id(token: bytes, host: str = "") -> str:
    """A SIP Call-ID that holds a token."""
    return f"{token.hex()}@{host}" if host else token.hex()


def connection_id(token: bytes, rest: bytes = bytes(8)) -> bytes:
    """A QUIC destination connection ID of 20 bytes that holds a token."""
    return token + rest[:8]


def label(token: bytes) -> str:
    """A DNS label that holds a token."""
    return token.hex()


def token_of_label(text: str) -> bytes | None:
    """The token of a DNS label, whatever its case (resolvers mix it); None where it holds none."""
    return token_of_text(text.encode("utf-8", "replace")) if len(text) == 2 * TOKEN else None


def token_of_text(text: bytes) -> bytes | None:
    """The token in the first 24 characters of a text, None where they are no hexadecimal digits."""
    found = _HEX.match(text)
    return bytes.fromhex(found[0].decode()) if found else None


def whoami_text(resolver: Resolver) -> str:
    """What a TXT query for ``<token>.whoami.<zone>`` is answered."""
    return f"network={resolver.network} same={resolver.same}"


def read_whoami(text: str) -> Resolver:
    """The inverse: who asked. Raises MalformedPacket."""
    found = _WHOAMI.fullmatch(text)
    if found is None:
        raise MalformedPacket(f"{text[:60]!r} is no answer to whoami")
    return Resolver(network=found[1], same=found[2])


def session_id(token: bytes, wanted: Transfer, rest: bytes) -> bytes:
    """A TLS session ID of 32 bytes that orders a transfer: token, order, ``rest`` (12 bytes of chance).

    A server of TLS sees a session that it does not know, and a filter an ordinary ClientHello.
    """
    kind = _UP if wanted.direction == "up" else _DOWN
    return token + _ORDER.pack(kind, wanted.seconds, wanted.kilobytes, wanted.kbits) + rest[:12]


def order(data: bytes) -> tuple[bytes, Transfer] | None:
    """Token and transfer that a ClientHello's session ID orders; None where it orders none (or is cut)."""
    try:
        hello = tls.handshake(tls.records(data))
    except MalformedPacket:
        return None
    session = hello[39:71]
    if hello[:1] != bytes((tls.CLIENT_HELLO,)) or hello[38:39] != b"\x20" or len(session) != 32:
        return None
    kind, seconds, kilobytes, kbits = _ORDER.unpack_from(session, TOKEN)
    if kind not in (_DOWN, _UP) or not 1 <= seconds <= 60 or not kilobytes:
        return None
    direction: Literal["down", "up"] = "up" if kind == _UP else "down"
    return session[:TOKEN], Transfer(direction=direction, seconds=seconds, kilobytes=kilobytes, kbits=kbits)


def candidates(data: bytes) -> Iterator[tuple[Place, bytes]]:
    """What a datagram may be, with the token that it would hold; the first whose token is valid is what it is."""
    if data.startswith(MAGIC):
        if len(data) >= 4 + TOKEN:
            yield "control", data[4 : 4 + TOKEN]
        return
    if stun.is_stun(data):
        yield "stun", data[8:20]
    elif sip.is_sip(data):
        try:
            token = token_of_text(sip.decode(data).get(b"call-id"))
        except MalformedPacket:
            token = None
        if token is not None:
            yield "sip", token
    elif quic.is_initial(data) and data[5] >= TOKEN and len(data) > 6 + TOKEN:
        yield "quic", data[6 : 6 + TOKEN]
    elif rtp.is_rtp(data) and len(data) >= 12 + TOKEN:
        yield "rtp", data[12 : 12 + TOKEN]
    if len(data) >= TOKEN:
        yield "plain", data[:TOKEN]


def received_text(received: Received) -> bytes:
    """What arrived, as text for the body of a SIP or HTTP answer (MessagePack, deflated, base64): no gateway on the way
    finds an address to rewrite in it."""
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(received), 9))


def turned_text(received: Received) -> bytes:
    """The same as :func:`received_text` for whoever compresses many of them: what arrived, behind a line of JSON with
    the rest, each letter moved by 47 (ROT47). Longer, but much of it is the same in each."""
    bare = msgspec.structs.replace(received, data=b"")
    return (msgspec.json.encode(bare) + b"\n" + received.data).translate(_TURNED)


def read_received(text: bytes) -> Received:
    """The inverse of :func:`received_text` and of :func:`turned_text`. Raises MalformedPacket."""
    rest, found, data = text[:_MOST_TEXT].translate(_TURNED).partition(b"\n")
    try:
        if found and rest.startswith(b"{"):
            return msgspec.structs.replace(msgspec.json.decode(rest, type=Received), data=data)
        raw = zlib.decompressobj().decompress(base64.b64decode(text.strip(), validate=True), _MOST_TEXT)
        return msgspec.msgpack.decode(raw, type=Received)
    except (binascii.Error, ValueError, zlib.error, msgspec.DecodeError, RecursionError) as error:
        raise MalformedPacket(f"no copy of what arrived: {error}") from None


def page(received: Received) -> bytes:
    """What a reflector serves to whoever asks over HTTP, for any host and path: a page that holds the request."""
    return _PAGE % received_text(received)


def read_page(body: bytes) -> Received:
    """The request as it arrived, from such a page. Raises MalformedPacket."""
    found = _ON_PAGE.search(body)
    if found is None:
        raise MalformedPacket("not the page of a reflector")
    return read_received(found[1])


def arrival_id(packet: Packet) -> bytes | None:
    """Eight bytes that name a packet at both ends of a path, whatever NAT did to its addresses and source port.

    A datagram by its port and payload, a SYN by its port and sequence number, an echo request by its sequence number
    and data; None for anything else.
    """
    header = packet.header
    if isinstance(header, Udp):
        key = b"udp%5d" % header.destination_port + packet.payload
    elif isinstance(header, Tcp):
        if header.flags & (Flags.SYN | Flags.ACK | Flags.RST) != Flags.SYN:
            return None
        key = b"syn%5d%d" % (header.destination_port, header.sequence)
    elif isinstance(header, Icmp) and (packet.version, header.type) in ((4, 8), (6, 128)):
        key = b"echo%5d" % header.sequence + packet.payload
    else:
        return None
    return hashlib.blake2b(key, digest_size=8).digest()
