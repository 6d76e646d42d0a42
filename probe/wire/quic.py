"""QUIC version 1 as far as a filter on the way can read it (RFC 9000, RFC 9001): the Initial packet with the server
name in its ClientHello, whose keys anyone derives from the packet itself, and Version Negotiation.

The ciphers are imported when they are used: most commands never speak QUIC.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from probe.model.errors import MalformedPacket
from probe.wire import streams, tls

VERSION = 1
SMALLEST = 1200
"""Bytes of a client's first datagram at the least (RFC 9000, 14.1)."""
_SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")  # RFC 9001, 5.2
_INITIAL = 0
_LONG, _FIXED, _TYPE = 0x80, 0x40, 0x30
_PADDING, _PING, _ACK, _ACK_ECN, _CRYPTO, _CLOSE = 0, 1, 2, 3, 6, 0x1C
_MOST_CRYPTO = 16384
_NUMBER = 4  # bytes of packet number that we send


class Header(msgspec.Struct, frozen=True):
    """The part of a long header that every version shares (RFC 8999)."""

    first: int
    version: int
    destination: bytes
    source: bytes


class Initial(msgspec.Struct, frozen=True):
    """A decrypted Initial packet: its number and what its CRYPTO frames hold from their beginning."""

    header: Header
    number: int
    crypto: bytes

    @property
    def server_name(self) -> str | None:
        """SNI of the ClientHello, None where there is none or it is cut."""
        if not self.crypto:
            return None
        return tls.server_name(bytes((tls.HANDSHAKE, 3, 1)) + len(self.crypto).to_bytes(2, "big") + self.crypto)


class _Keys:
    """Keys of one side for its Initial packets (RFC 9001, 5.2)."""

    def __init__(self, destination: bytes, side: str) -> None:
        initial = hmac.digest(_SALT, destination, hashlib.sha256)
        secret = expand(initial, f"{side} in", 32)
        self.key, self.iv, self.mask = (expand(secret, f"quic {what}", n) for what, n in _KEY_SIZES)

    def nonce(self, number: int) -> bytes:
        return (int.from_bytes(self.iv, "big") ^ number).to_bytes(12, "big")

    def masked(self, sample: bytes) -> bytes:
        """The five bytes that hide the packet number (RFC 9001, 5.4.3)."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        # One block: this is the mode that RFC 9001, 5.4.3 asks for, not a way to hide data.
        return Cipher(algorithms.AES(self.mask), modes.ECB()).encryptor().update(sample)[:5]  # noqa: S305


_KEY_SIZES = (("key", 16), ("iv", 12), ("hp", 16))


def expand(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label with SHA-256 and no context, at most 32 bytes (RFC 8446, 7.1)."""
    name = b"tls13 " + label.encode()
    info = length.to_bytes(2, "big") + bytes((len(name),)) + name + b"\0"
    return hmac.digest(secret, info + b"\1", hashlib.sha256)[:length]


def client_initial(server_name: str, destination: bytes, source: bytes, random: bytes) -> bytes:
    """A client's first datagram for a name, padded to 1200 bytes: one Initial with a ClientHello for HTTP/3.

    ``destination`` (8 to 20 bytes: it makes the keys) and ``source`` (at most 20) are connection IDs; ``random`` is the
    ClientHello's 32 bytes. An empty name leaves SNI out. Raises MalformedPacket.
    """
    if not 8 <= len(destination) <= 20:
        raise MalformedPacket("a client's first destination connection ID has 8 to 20 bytes")
    hello = client_hello(server_name, random, source)
    frame = bytes((_CRYPTO, 0)) + integer(len(hello)) + hello
    return initial(destination, source, frame, size=SMALLEST)


def client_hello(server_name: str, random: bytes, source: bytes) -> bytes:
    """The ClientHello of a client of HTTP/3: TLS 1.3 alone, no session ID (RFC 9001, 8). Raises MalformedPacket."""
    if len(random) != 32 or len(source) > 20:
        raise MalformedPacket("a ClientHello takes 32 bytes of random, a connection ID at most 20")
    share = hashlib.sha256(b"share" + random).digest()
    # Transport parameters as a browser's: idle timeout, payload size, flow control, streams, the source connection ID.
    parameters = (
        (0x01, integer(30000)), (0x03, integer(1472)), (0x04, integer(15728640)), (0x05, integer(6291456)),
        (0x06, integer(6291456)), (0x07, integer(6291456)), (0x08, integer(100)), (0x09, integer(103)), (0x0F, source),
    )  # fmt: skip
    body = b"".join(integer(kind) + integer(len(value)) + value for kind, value in parameters)
    return tls.hello(
        server_name, random, b"", bytes.fromhex("130113021303"),
        (
            tls.extension(10, tls.vector(2, bytes.fromhex("001d00170018"))),
            tls.extension(16, tls.vector(2, tls.vector(1, b"h3"))),
            tls.extension(13, tls.vector(2, bytes.fromhex("040308040401050308050501080606010201"))),
            tls.extension(43, tls.vector(1, b"\3\4")),
            tls.extension(45, tls.vector(1, b"\1")),
            tls.extension(51, tls.vector(2, b"\0\x1d" + tls.vector(2, share))),
            tls.extension(0x39, body),
        ),
    )  # fmt: skip


def initial(
    destination: bytes, source: bytes, frames: bytes, *, number: int = 0, keys: bytes | None = None,
    server: bool = False, size: int = 0,
) -> bytes:  # fmt: skip
    """One protected Initial packet of ``frames``, padded to ``size`` bytes.

    ``keys``: the client's first destination connection ID, where ``destination`` is another (a server's answer).
    Raises MalformedPacket.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(destination) > 20 or len(source) > 20 or not 0 <= number < 1 << 32:
        raise MalformedPacket("a connection ID has at most 20 bytes, a packet number four here")
    head = bytes((_LONG | _FIXED | _INITIAL | _NUMBER - 1,)) + VERSION.to_bytes(4, "big")
    head += tls.vector(1, destination) + tls.vector(1, source) + b"\0"  # no token
    frames += bytes(max(0, size - len(head) - 2 - _NUMBER - 16 - len(frames)))
    length = _NUMBER + len(frames) + 16
    if length >= 1 << 14:
        raise MalformedPacket(f"{len(frames)} bytes of frames do not fit a packet")
    head += (0x4000 | length).to_bytes(2, "big")
    plain = head + number.to_bytes(_NUMBER, "big")
    side = _Keys(destination if keys is None else keys, "server" if server else "client")
    sealed = AESGCM(side.key).encrypt(side.nonce(number), frames, plain)
    mask = side.masked(sealed[4 - _NUMBER : 20 - _NUMBER])
    hidden = bytes(a ^ b for a, b in zip(plain[-_NUMBER:], mask[1:], strict=True))
    return bytes((head[0] ^ mask[0] & 15,)) + head[1:] + hidden + sealed


def header(data: bytes) -> Header:
    """The version-independent header of a datagram's first packet (RFC 8999, 5.1). Raises MalformedPacket."""
    if len(data) < 7 or not data[0] & _LONG:
        raise MalformedPacket("no QUIC long header")
    at = 6 + data[5]
    if at >= len(data) or at + 1 + data[at] > len(data):
        raise MalformedPacket("QUIC connection ID cut")
    return Header(data[0], int.from_bytes(data[1:5], "big"), data[6:at], data[at + 1 : at + 1 + data[at]])


def is_initial(data: bytes) -> bool:
    """Whether a datagram may begin with a version 1 Initial packet, by its first bytes."""
    return len(data) >= 7 and data[0] & (_LONG | _FIXED | _TYPE) == _LONG | _FIXED and data[1:5] == b"\0\0\0\1"


def decrypt(data: bytes, keys: bytes | None = None, *, server: bool = False) -> Initial:
    """Decrypt the Initial packets that begin a datagram, a client's unless ``server``.

    ``keys``: the client's first destination connection ID, where the packet's own is another. Only version 1. Raises
    MalformedPacket for anything else, and where the packet does not prove to be whole.
    """
    first: Initial | None = None
    pieces: list[tuple[int, bytes]] = []
    while is_initial(data):
        try:
            head, number, frames, data = _open(data, keys, "server" if server else "client")
        except MalformedPacket:
            if first is None:
                raise
            break  # what follows an Initial may be anything
        keys = head.destination if keys is None else keys
        pieces += _crypto(frames)
        first = first or Initial(head, number, b"")
    if first is None:
        raise MalformedPacket("no QUIC Initial of version 1")
    return msgspec.structs.replace(first, crypto=streams.reassemble(pieces, 0, _MOST_CRYPTO))


def _open(data: bytes, keys: bytes | None, side: str) -> tuple[Header, int, bytes, bytes]:
    """Header, number and frames of the Initial at the start of a datagram, and what follows it."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = header(data)
    if len(head.destination) > 20 or len(head.source) > 20:
        raise MalformedPacket("QUIC version 1 connection IDs have at most 20 bytes")
    at = 7 + len(head.destination) + len(head.source)
    token, at = read_integer(data, at)
    length, at = read_integer(data, at + token)
    end = at + length
    if end > len(data) or length < 20:
        raise MalformedPacket("QUIC packet cut")
    own = _Keys(head.destination if keys is None else keys, side)
    mask = own.masked(data[at + 4 : at + 20])
    first = data[0] ^ mask[0] & 15
    size = (first & 3) + 1
    hidden = bytes(a ^ b for a, b in zip(data[at : at + size], mask[1:], strict=False))
    number = int.from_bytes(hidden, "big")
    plain = bytes((first,)) + data[1:at] + hidden
    try:
        frames = AESGCM(own.key).decrypt(own.nonce(number), data[at + size : end], plain)
    except InvalidTag:
        raise MalformedPacket("a QUIC Initial that does not decrypt") from None
    return msgspec.structs.replace(head, first=first), number, frames, data[end:]


def _crypto(frames: bytes) -> list[tuple[int, bytes]]:
    """(offset, bytes) of the CRYPTO frames (RFC 9000, 19.6); frames that no Initial may hold are malformed."""
    found = []
    at = 0
    while at < len(frames):
        kind, at = frames[at], at + 1
        if kind in (_PADDING, _PING):
            continue
        if kind in (_ACK, _ACK_ECN):
            at = _after_ack(frames, at, kind)
        elif kind == _CRYPTO:
            offset, at = read_integer(frames, at)
            length, at = read_integer(frames, at)
            if at + length > len(frames):
                raise MalformedPacket("QUIC CRYPTO frame cut")
            if offset < _MOST_CRYPTO:
                found.append((offset, frames[at : at + length]))
            at += length
        elif kind == _CLOSE:
            break
        else:
            raise MalformedPacket(f"QUIC frame {kind:#x} in an Initial")
    return found


def _after_ack(frames: bytes, at: int, kind: int) -> int:
    """Where an ACK frame ends (RFC 9000, 19.3)."""
    for _ in range(2):  # largest acknowledged, delay
        _, at = read_integer(frames, at)
    ranges, at = read_integer(frames, at)
    for _ in range(1 + 2 * ranges + (3 if kind == _ACK_ECN else 0)):
        _, at = read_integer(frames, at)
    return at


def version_negotiation(client: Header, versions: Sequence[int] = (0x1A2A3A4A,), unused: int = 0x40) -> bytes:
    """A server's answer to a version that it does not speak: the connection IDs swapped, its own ``versions``.

    The default is a reserved version (RFC 9000, 15): whoever asks learns that the packet arrived, and nothing to use.
    """
    return (
        bytes((_LONG | unused & 0x7F,)) + bytes(4) + tls.vector(1, client.source) + tls.vector(1, client.destination)
        + b"".join(version.to_bytes(4, "big") for version in versions)
    )  # fmt: skip


def negotiated(data: bytes) -> tuple[Header, tuple[int, ...]]:
    """Header and versions of a Version Negotiation packet (RFC 9000, 17.2.1). Raises MalformedPacket."""
    head = header(data)
    rest = data[7 + len(head.destination) + len(head.source) :]
    if head.version or not rest or len(rest) % 4:
        raise MalformedPacket("no QUIC Version Negotiation")
    return head, tuple(int.from_bytes(rest[i : i + 4], "big") for i in range(0, len(rest), 4))


def integer(value: int) -> bytes:
    """A variable-length integer in its shortest form (RFC 9000, 16). Raises MalformedPacket beyond 62 bits."""
    for power, size in enumerate((1, 2, 4, 8)):
        if 0 <= value < 1 << (8 * size - 2):
            return (value | power << (8 * size - 2)).to_bytes(size, "big")
    raise MalformedPacket(f"{value} does not fit a QUIC integer")


def read_integer(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends. Raises MalformedPacket where it is cut."""
    if at >= len(data):
        raise MalformedPacket("QUIC integer cut")
    size = 1 << (data[at] >> 6)
    if at + size > len(data):
        raise MalformedPacket("QUIC integer cut")
    return int.from_bytes(data[at : at + size], "big") & (1 << (8 * size - 2)) - 1, at + size
