"""SIP messages (RFC 3261) as bytes in order, so that a rewritten header shows, and a call's session (SDP, RFC 8866).

Requests are built as softphones behind a NAT send them: with their private address in Via, Contact and SDP. That is
what an application-level gateway rewrites.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from probe.model.errors import MalformedPacket

Method = Literal["OPTIONS", "REGISTER", "INVITE", "ACK", "CANCEL", "BYE"]
Transport = Literal["UDP", "TCP", "TLS"]

_REQUEST_LINE = re.compile(rb"([!%'*+\-.0-9A-Z_`a-z~]+) ([^\s\x00-\x1f]+) SIP/2\.0")
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6]\d\d)(?: (.*))?", re.DOTALL)
_NAME = re.compile(rb"[!%'*+\-.0-9A-Z_`a-z~]+")
_LONG = {
    b"i": b"call-id", b"m": b"contact", b"e": b"content-encoding", b"l": b"content-length", b"c": b"content-type",
    b"f": b"from", b"s": b"subject", b"k": b"supported", b"t": b"to", b"v": b"via",
}  # fmt: skip
_COPIED = (b"via", b"from", b"to", b"call-id", b"cseq")
_MOST = 65535
_MOST_HEADERS = 256


class Message(msgspec.Struct, frozen=True):
    """A message. ``headers`` are (name, value) as received, in order; a folded value keeps its line breaks.

    ``complete``: the body is as long as Content-Length says (without one: a datagram's end ends it).
    """

    start: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    complete: bool = True

    @property
    def method(self) -> str:
        """Method of a request, "" for a response."""
        found = _REQUEST_LINE.fullmatch(self.start)
        return found[1].decode("ascii") if found else ""

    @property
    def uri(self) -> bytes:
        """Request-URI, empty for a response."""
        found = _REQUEST_LINE.fullmatch(self.start)
        return found[2] if found else b""

    @property
    def status(self) -> int:
        """Status of a response, 0 for a request."""
        found = _STATUS_LINE.fullmatch(self.start)
        return int(found[1]) if found else 0

    def get(self, name: bytes) -> bytes:
        """First value of a header by its long name, compact forms included; empty if there is none."""
        return next(iter(self.all(name)), b"")

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order (several Via are a path)."""
        wanted = long_name(name)
        return [value for key, value in self.headers if long_name(key) == wanted]


class Client(msgspec.Struct, frozen=True):
    """Who calls, as the softphone itself sees it: its own address is usually a private one."""

    address: str
    port: int = 5060
    user: str = "colibri"
    software: str = "Linphone/4.4.10"

    @property
    def host(self) -> str:
        """Address as a URI writes it."""
        return f"[{self.address}]" if ":" in self.address else self.address


def long_name(name: bytes) -> bytes:
    """A header's name in its long form and in lower case (RFC 3261, 7.3.3)."""
    lower = name.strip().lower()
    return _LONG.get(lower, lower)


def request(
    method: Method, server: str, call_id: str, client: Client, *,
    transport: Transport = "UDP", cseq: int = 1, tag: str = "", body: bytes = b"", expires: int = 3600,
    accept: str = "",
) -> bytes:  # fmt: skip
    """A request to ``server`` (a host or address); branch and tag are derived from ``call_id`` where not given.

    An INVITE brings ``body`` (see :func:`session`); a REGISTER asks for ``expires`` seconds. ``accept``: kinds of body
    that the answer may have (RFC 3261, 20.1); "": what is usual for the method. Raises MalformedPacket.
    """
    host = f"[{server}]" if server.count(":") > 1 else server
    scheme = "sips" if transport == "TLS" else "sip"
    me = f"{scheme}:{client.user}@{client.host}"
    peer = f"<{scheme}:{client.user if method == 'REGISTER' else 'echo'}@{host}>"
    contact = f"<{me}:{client.port}>" if transport == "UDP" else f"<{me}:{client.port};transport={transport.lower()}>"
    uri = f"{scheme}:{host}" if method in ("REGISTER", "OPTIONS") else f"{scheme}:echo@{host}"
    fields = [
        ("Via", f"SIP/2.0/{transport} {client.host}:{client.port};branch=z9hG4bK{call_id[:24]}{cseq};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<{scheme}:{client.user}@{host}>;tag={tag or call_id[-8:]}"),
        ("To", peer),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", contact),
        ("User-Agent", client.software),
    ]
    if method == "REGISTER":
        fields.append(("Expires", str(expires)))
    if method in ("OPTIONS", "INVITE"):
        fields.append(("Allow", "INVITE, ACK, CANCEL, OPTIONS, BYE"))
    if accept or method in ("OPTIONS", "INVITE"):
        fields.append(("Accept", accept or "application/sdp"))
    if body:
        fields.append(("Content-Type", "application/sdp"))
    fields.append(("Content-Length", str(len(body))))
    try:
        pairs = [(name.encode("ascii"), value.encode()) for name, value in fields]
        start = f"{method} {uri} SIP/2.0".encode()
    except UnicodeError as error:
        raise MalformedPacket(f"a request to {server!r} cannot be written: {error}") from None
    return encode(Message(start, tuple(pairs), body))


def session(client: Client, media_port: int, number: int = 0) -> bytes:
    """SDP of an audio call with G.711, offered from the client's own address; ``number`` names the session."""
    family = "IP6" if ":" in client.address else "IP4"
    lines = (
        "v=0", f"o={client.user} {number} {number} IN {family} {client.address}", "s=Talk",
        f"c=IN {family} {client.address}", "t=0 0", f"m=audio {media_port} RTP/AVP 0 8 101", "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def response(
    to: Message, status: int, reason: str, *, tag: str = "", headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"", kind: str = "text/plain",
) -> bytes:  # fmt: skip
    """Answer to a request: its Via, From, To, Call-ID and CSeq come back as they were (RFC 3261, 8.2.6).

    ``tag`` is added to To where it has none. Raises MalformedPacket.
    """
    pairs = []
    for name, value in to.headers:
        key = long_name(name)
        if key not in _COPIED:
            continue
        if key == b"to" and tag and b";tag=" not in value.lower():
            value += b";tag=" + tag.encode()
        pairs.append((name, value))
    pairs += headers
    if body:
        pairs.append((b"Content-Type", kind.encode()))
    pairs.append((b"Content-Length", b"%d" % len(body)))
    return encode(Message(f"SIP/2.0 {status} {reason}".encode(), tuple(pairs), body))


def encode(message: Message) -> bytes:
    """Bytes of a message: start line, headers, body. Raises MalformedPacket where a line would break elsewhere."""
    if not (_REQUEST_LINE.fullmatch(message.start) or _STATUS_LINE.fullmatch(message.start)):
        raise MalformedPacket(f"{message.start!r} does not begin a SIP message")
    lines = [message.start]
    for name, value in message.headers:
        if not _NAME.fullmatch(name) or b"\n" in value.replace(b"\r\n ", b"").replace(b"\r\n\t", b""):
            raise MalformedPacket(f"{name!r}: {value!r} is no SIP header")
        lines.append(name + b": " + value)
    if any(b"\r" in line or b"\n" in line for line in lines[:1]):
        raise MalformedPacket("a start line with a line break")
    return b"\r\n".join(lines) + b"\r\n\r\n" + message.body


def is_sip(data: bytes) -> bool:
    """Whether bytes begin as a SIP message does."""
    line = data[:_MOST].partition(b"\r\n")[0]
    return bool(_REQUEST_LINE.fullmatch(line) or _STATUS_LINE.fullmatch(line))


def decode(data: bytes) -> Message:
    """Decode a datagram's message; ``complete`` is False where less of its body is there than Content-Length says.

    Raises MalformedPacket where the head isn't whole or no SIP.
    """
    if len(data) > _MOST:
        raise MalformedPacket(f"{len(data)} bytes are no SIP message")
    head, found, body = data.partition(b"\r\n\r\n")
    start, _, rest = head.partition(b"\r\n")
    if not found or not (_REQUEST_LINE.fullmatch(start) or _STATUS_LINE.fullmatch(start)):
        raise MalformedPacket("no SIP message")
    headers: list[tuple[bytes, bytes]] = []
    for line in rest.split(b"\r\n") if rest else ():
        if line[:1] in (b" ", b"\t") and headers:  # a value goes on (RFC 3261, 7.3.1)
            name, value = headers[-1]
            headers[-1] = (name, value + b"\r\n" + line)
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(name) or len(headers) >= _MOST_HEADERS:
            raise MalformedPacket(f"{line[:40]!r} is no SIP header")
        headers.append((name, value.lstrip(b" \t")))
    message = Message(start, tuple(headers), body)
    length = message.get(b"content-length").strip()
    if not length:
        return message
    if not length.isdigit() or len(length) > 6:
        raise MalformedPacket(f"Content-Length: {length[:20]!r}")
    return msgspec.structs.replace(message, body=body[: int(length)], complete=len(body) >= int(length))


def size(data: bytes) -> int | None:
    """Length of the message at the start of a TCP stream, None while its head isn't whole (RFC 3261, 18.3).

    Raises MalformedPacket where the stream does not begin with one, or its head is longer than 64 KiB.
    """
    end = data.find(b"\r\n\r\n", 0, _MOST)
    if end >= 0:
        length = decode(data[: end + 4]).get(b"content-length").strip()
        return end + 4 + int(length or b"0")
    if len(data) >= _MOST or (b"\r\n" in data and not is_sip(data)):
        raise MalformedPacket("no SIP message")
    return None


def sent_from(via: bytes) -> tuple[bytes, int]:
    """Host and port of a Via's sent-by (RFC 3261, 18.1.1), 5060 where none is given. Raises MalformedPacket."""
    found = re.match(rb"\s*SIP\s*/\s*2\.0\s*/\s*\w+\s+(\[[0-9A-Fa-f:.]+\]|[^\s:;,]+)\s*(?::\s*(\d{1,5}))?", via)
    if found is None:
        raise MalformedPacket(f"{via[:60]!r} is no Via")
    return found[1], int(found[2] or 5060)
