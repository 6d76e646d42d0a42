"""TLS records, the ClientHello and its server name, alerts (RFC 8446; RFC 6066 for SNI; RFC 7301 for ALPN)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from probe.model.errors import MalformedPacket
from probe.wire.dns_name import name_labels

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
WARNING, FATAL = 1, 2

_TYPES = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA})
_MAX_RECORD = 0x4000 + 2048  # RFC 5246, 6.2.3: the most that a protected record may hold
_ALERTS = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow",
    40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked",
    45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
    49: "access_denied", 50: "decode_error", 51: "decrypt_error", 60: "export_restriction", 70: "protocol_version",
    71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled",
    100: "no_renegotiation", 109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
    113: "bad_certificate_status_response", 115: "unknown_psk_identity", 116: "certificate_required",
    120: "no_application_protocol",
}  # fmt: skip

# What OpenSSL 3 offers by default, in its order: TLS 1.3 first, then ECDHE with AEAD, then what older servers need.
_CIPHERS = bytes.fromhex(
    "130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c"
    "0035002f00ff"
)
_GROUPS = bytes.fromhex("001d001700180019")
_SIGNATURES = bytes.fromhex("040305030603080708080809080a080b080408050806040105010601")


class Record(msgspec.Struct, frozen=True):
    """One record; ``body`` is cut where the capture was."""

    type: int
    version: int
    body: bytes


class Alert(msgspec.Struct, frozen=True):
    """An alert in the clear. ``name`` is the registry's, or ``alert N``."""

    level: int
    description: int

    @property
    def name(self) -> str:
        """For instance ``unrecognized_name`` for 112."""
        return _ALERTS.get(self.description, f"alert {self.description}")


def client_hello(
    server_name: str,
    random: bytes,
    session_id: bytes = b"",
    key_share: bytes = b"",
    alpn: Sequence[str] = ("h2", "http/1.1"),
    *,
    newest: Literal["1.2", "1.3"] = "1.3",
) -> bytes:
    """One record with a ClientHello for TLS 1.3 and 1.2, or 1.2 alone (where certificates travel in the clear), as
    OpenSSL 3 sends it.

    ``random`` is 32 bytes; ``session_id`` and ``key_share`` (an x25519 point: any 32 bytes) are derived from it where
    they are empty. An empty ``server_name`` leaves SNI out. Raises MalformedPacket.
    """
    session_id = session_id or hashlib.sha256(b"session" + random).digest()
    key_share = key_share or hashlib.sha256(b"share" + random).digest()
    if len(random) != 32 or len(session_id) > 32 or len(key_share) != 32:
        raise MalformedPacket("a ClientHello takes 32 bytes of random and key share, and at most 32 of session id")
    of_13 = (
        extension(43, vector(1, b"\3\4\3\3")),  # supported versions: 1.3, 1.2
        extension(45, vector(1, b"\1")),  # PSK with (EC)DHE
        extension(51, vector(2, b"\0\x1d" + vector(2, key_share))),
    )  # fmt: skip
    body = hello(server_name, random, session_id, _CIPHERS, (
        extension(0xFF01, b"\0"),  # secure renegotiation, empty
        extension(11, b"\1\0"),  # point formats: uncompressed
        extension(10, vector(2, _GROUPS)),
        extension(35, b""),  # session ticket
        extension(16, vector(2, b"".join(vector(1, p.encode()) for p in alpn))) if alpn else b"",
        extension(22, b""),  # encrypt then MAC
        extension(23, b""),  # extended master secret
        extension(13, vector(2, _SIGNATURES)),
        *(of_13 if newest == "1.3" else ()),
    ))  # fmt: skip
    return bytes((HANDSHAKE, 3, 1)) + vector(2, body)


def hello(server_name: str, random: bytes, session_id: bytes, ciphers: bytes, extensions: Sequence[bytes]) -> bytes:
    """The handshake message ClientHello, without a record around it: SNI (none for "") before other ``extensions``.

    Raises MalformedPacket.
    """
    # "example.com." and escapes have no place in SNI: the name is written as DNS would send it (RFC 6066, 3)
    name = b".".join(name_labels(server_name))
    sni = extension(0, vector(2, b"\0" + vector(2, name))) if name else b""
    body = b"\3\3" + random + vector(1, session_id) + vector(2, ciphers) + b"\1\0"
    body += vector(2, b"".join((sni, *extensions)))
    return bytes((CLIENT_HELLO,)) + vector(3, body)


def vector(size: int, data: bytes) -> bytes:
    """``data`` behind its length in ``size`` bytes (RFC 8446, 3.4). Raises MalformedPacket."""
    try:
        return len(data).to_bytes(size, "big") + data
    except OverflowError as error:
        raise MalformedPacket(f"{len(data)} bytes do not fit a TLS vector") from error


def extension(kind: int, data: bytes) -> bytes:
    """An extension: its kind, and its data behind their length. Raises MalformedPacket."""
    return kind.to_bytes(2, "big") + vector(2, data)


def server_name(data: bytes) -> str | None:
    """SNI of the ClientHello at the start of a stream, over several records or cut; None where there is none."""
    try:
        hello = handshake(records(data))
    except MalformedPacket:
        return None
    if hello[:1] != bytes((CLIENT_HELLO,)):
        return None
    at = 4 + 2 + 32
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + int.from_bytes(hello[at : at + width], "big")
    at += 2
    while at + 4 <= len(hello):
        kind, length = hello[at : at + 2], int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == b"\0\0":
            body = hello[at + 4 : at + 4 + length]
            size = int.from_bytes(body[3:5], "big")
            name = body[5 : 5 + size]
            return name.decode("ascii", "backslashreplace") if size and len(name) == size and body[2] == 0 else None
        at += 4 + length
    return None


def records(data: bytes) -> tuple[Record, ...]:
    """Records from the start of a stream; the last may be cut, and a header cut in two is left out.

    Raises MalformedPacket where a record does not begin as TLS 1.0 to 1.3 does.
    """
    found = []
    at = 0
    while at + 5 <= len(data):
        kind, major, minor, length = data[at], data[at + 1], data[at + 2], data[at + 3] << 8 | data[at + 4]
        if kind not in _TYPES or major != 3 or minor > 4 or length > _MAX_RECORD:
            raise MalformedPacket(f"no TLS record at byte {at}")
        found.append(Record(kind, major << 8 | minor, data[at + 5 : at + 5 + length]))
        at += 5 + length
    return tuple(found)


def handshake(found: Sequence[Record]) -> bytes:
    """Handshake bytes in the clear: the bodies of the handshake records before anything is protected."""
    body = bytearray()
    for one in found:
        if one.type != HANDSHAKE:
            break
        body += one.body
    return bytes(body)


def handshake_types(found: Sequence[Record]) -> tuple[int, ...]:
    """Types of the handshake messages in the clear (``SERVER_HELLO`` …), the last one possibly cut."""
    body = handshake(found)
    types = []
    at = 0
    while at + 4 <= len(body):
        types.append(body[at])
        at += 4 + int.from_bytes(body[at + 1 : at + 4], "big")
    return tuple(types)


def alert(found: Sequence[Record]) -> Alert | None:
    """The first alert in the clear, or None. One of another length than 2 bytes is encrypted: not told."""
    for one in found:
        if one.type == ALERT and len(one.body) == 2 and one.body[0] in (WARNING, FATAL):
            return Alert(one.body[0], one.body[1])
        if one.type == APPLICATION_DATA:
            break
    return None
