"""DNS messages (RFC 1035; RFC 6891 for EDNS; RFC 3596 for AAAA)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from struct import Struct

import msgspec

from probe.model.errors import MalformedPacket
from probe.wire.address import address_bytes, address_text
from probe.wire.dns_name import ROOT, NameReader, name_bytes, name_labels

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 65, 255
IN, CH = 1, 3
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
EDNS_SIZE = 1232
"""Bytes of UDP answer that pass everywhere without fragments (DNS flag day 2020)."""

_HEADER = Struct(">HHHHHH")
_QUESTION = Struct(">HH")
_RECORD = Struct(">HHIH")
_NAMES = frozenset({NS, CNAME, PTR})
_ADDRESS_LENGTH = {A: 4, AAAA: 16}
_QR, _AA, _TC, _RD, _RA, _AD, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010


class Question(msgspec.Struct, frozen=True):
    """What is asked. Names are text: labels joined by dots, no final dot, the root is ``.``, case as on the wire."""

    name: str
    qtype: int = A
    qclass: int = IN


class Record(msgspec.Struct, frozen=True):
    """A resource record; ``ttl`` in seconds. ``data`` holds no compression pointers (names are written out).

    ``text`` is the address for A and AAAA, the name for CNAME, NS and PTR, the strings joined for TXT; for all else,
    and for data that do not fit their type, hexadecimal digits.
    """

    name: str
    type: int
    klass: int
    ttl: int
    data: bytes
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """A query or a response. ``rcode`` is the header's (EDNS's upper bits not added)."""

    ident: int
    response: bool = False
    opcode: int = 0
    authoritative: bool = False
    truncated: bool = False
    recursion_available: bool = False
    rcode: int = NOERROR
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    recursion_desired: bool = False
    authentic: bool = False
    checking_disabled: bool = False


def query(name: str, ident: int, qtype: int = A, *, recursion: bool = True, edns: int | None = None) -> bytes:
    """Bytes of a query of class IN. ``edns``: UDP payload size to announce. Raises MalformedPacket on a bad name."""
    try:
        head = _HEADER.pack(ident, _RD if recursion else 0, 1, 0, 0, 0 if edns is None else 1)
        tail = b"" if edns is None else b"\0" + _RECORD.pack(OPT, edns, 0, 0)
        return head + name_bytes(name) + _QUESTION.pack(qtype, IN) + tail
    except struct.error as error:
        raise MalformedPacket(f"a field of the query does not fit: {error}") from error


def decode(data: bytes | memoryview) -> Message:
    """Decode one message; bytes behind it are ignored. Raises MalformedPacket."""
    raw = data if type(data) is bytes else bytes(data)
    if len(raw) < 12:
        raise MalformedPacket(f"DNS header cut after {len(raw)} bytes")
    ident, flags, questions, *counts = _HEADER.unpack_from(raw)
    names = NameReader(raw)
    at = 12
    asked = []
    for _ in range(questions):
        name, at = names.read(at)
        if at + 4 > len(raw):
            raise MalformedPacket(f"DNS question cut at byte {at}")
        asked.append(Question(name, *_QUESTION.unpack_from(raw, at)))
        at += 4
    sections: list[tuple[Record, ...]] = []
    for count in counts:
        section = []
        for _ in range(count):
            record, at = _decode_record(raw, at, names)
            section.append(record)
        sections.append(tuple(section))
    return Message(ident, bool(flags & _QR), flags >> 11 & 15, bool(flags & _AA), bool(flags & _TC), bool(flags & _RA),
                   flags & 15, tuple(asked), sections[0], sections[1], sections[2],
                   bool(flags & _RD), bool(flags & _AD), bool(flags & _CD))


def _decode_record(raw: bytes, at: int, names: NameReader) -> tuple[Record, int]:
    name, at = names.read(at)
    if at + 10 > len(raw):
        raise MalformedPacket(f"DNS record cut at byte {at}")
    kind, klass, ttl, length = _RECORD.unpack_from(raw, at)
    at += 10
    end = at + length
    if end > len(raw):
        raise MalformedPacket(f"DNS record data cut at byte {at}")
    if kind in _NAMES:
        text, after = names.read(at)
        if after != end:
            raise MalformedPacket(f"DNS record data of {length} bytes hold a name of {after - at}")
        return Record(name, kind, klass, ttl, name_bytes(text), text), end
    data = _uncompressed(raw, at, end, kind, names) if kind in (SOA, MX) else raw[at:end]
    return Record(name, kind, klass, ttl, data, _data_text(kind, data)), end


def _uncompressed(raw: bytes, at: int, end: int, kind: int, names: NameReader) -> bytes:
    """Data of the other two types of RFC 1035 whose names may be compressed, with the names written out."""
    middle = at + 2 if kind == MX else at
    data = raw[at:middle]
    for _ in range(1 if kind == MX else 2):
        text, middle = names.read(middle)
        data += name_bytes(text)
    if middle > end:
        raise MalformedPacket(f"a name runs over the end of the DNS record data at byte {end}")
    return data + raw[middle:end]


def _data_text(kind: int, data: bytes) -> str:
    if len(data) == _ADDRESS_LENGTH.get(kind):
        return address_text(data)
    if kind == TXT:
        strings = []
        at = 0
        while at < len(data) and at + data[at] < len(data):
            strings.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        if at == len(data):
            return b"".join(strings).decode("utf-8", "backslashreplace")
    return data.hex()


def record(name: str, kind: int, text: str, ttl: int = 60) -> Record:
    """A record of class IN from its text, the inverse of ``Record.text``. Raises MalformedPacket."""
    if kind in _ADDRESS_LENGTH:
        data = address_bytes(text)
        if len(data) != _ADDRESS_LENGTH[kind]:
            raise MalformedPacket(f"{text!r} is of the other address family")
    elif kind in _NAMES:
        data = name_bytes(text)
    elif kind == TXT:
        raw = text.encode()
        data = b"".join(bytes((len(raw[i : i + 255]),)) + raw[i : i + 255] for i in range(0, len(raw) or 1, 255))
    else:
        try:
            data = bytes.fromhex(text)
        except ValueError as error:
            raise MalformedPacket(f"{text!r} are no hexadecimal digits") from error
    return Record(name, kind, IN, ttl, data, text)


def answer(
    query: Message,
    records: Iterable[Record] = (),
    rcode: int = NOERROR,
    *,
    authoritative: bool = False,
    recursion_available: bool = True,
    truncated: bool = False,
    authority: Iterable[Record] = (),
) -> Message:
    """The response of a well-behaved server to ``query``; with an OPT record if the query had one (RFC 6891, 6.1.1)."""
    edns = any(extra.type == OPT for extra in query.additional)
    return Message(
        query.ident, True, query.opcode, authoritative, truncated, recursion_available, rcode, query.questions,
        tuple(records), tuple(authority), (Record(ROOT, OPT, EDNS_SIZE, 0, b""),) if edns else (),
        query.recursion_desired,
    )


def encode(message: Message) -> bytes:
    """Bytes of a message; the names of questions and records are compressed. Raises MalformedPacket."""
    flags = (
        message.response * _QR | (message.opcode & 15) << 11 | message.authoritative * _AA | message.truncated * _TC
        | message.recursion_desired * _RD | message.recursion_available * _RA | message.authentic * _AD
        | message.checking_disabled * _CD | message.rcode & 15
    )
    sections = (message.answers, message.authority, message.additional)
    known: dict[tuple[bytes, ...], int] = {}
    try:
        out = bytearray(_HEADER.pack(message.ident, flags, len(message.questions), *map(len, sections)))
        for question in message.questions:
            _put_name(out, question.name, known)
            out += _QUESTION.pack(question.qtype, question.qclass)
        for section in sections:
            for entry in section:
                _put_name(out, entry.name, known)
                out += _RECORD.pack(entry.type, entry.klass, entry.ttl, len(entry.data)) + entry.data
    except struct.error as error:
        raise MalformedPacket(f"a field of the message does not fit: {error}") from error
    return bytes(out)


def _put_name(out: bytearray, name: str, known: dict[tuple[bytes, ...], int]) -> None:
    labels = name_labels(name)
    for i, label in enumerate(labels):
        rest = labels[i:]
        if rest in known:
            out += (0xC000 | known[rest]).to_bytes(2, "big")
            return
        if len(out) < 0x4000:  # what a pointer can reach
            known[rest] = len(out)
        out += bytes((len(label),)) + label
    out += b"\0"


def framed(message: bytes) -> bytes:
    """A message as it goes over TCP: its length first (RFC 1035, 4.2.2). Raises MalformedPacket if over 65535 bytes."""
    if len(message) > 0xFFFF:
        raise MalformedPacket(f"a DNS message of {len(message)} bytes")
    return len(message).to_bytes(2, "big") + message


def unframed(stream: bytes) -> tuple[bytes, ...]:
    """The whole messages at the start of what TCP brought; a cut one at the end is left out."""
    messages = []
    at = 0
    while at + 2 <= len(stream):
        end = at + 2 + int.from_bytes(stream[at : at + 2], "big")
        if end > len(stream):
            break
        messages.append(stream[at + 2 : end])
        at = end
    return tuple(messages)
