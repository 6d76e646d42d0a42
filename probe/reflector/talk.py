"""One TCP connection, without its socket: bytes in, what to do out. The handshake has proven the source.

Whatever the port, the first bytes say what is spoken: TLS, HTTP, SIP, STUN, DNS, or a token and then anything, which is
echoed; or the twin of any of these with every bit flipped, which is answered by the twin of the answer.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.reflector import Answer, Received, Syn, Transfer
from probe.reflector import calls, zone
from probe.reflector.core import Ask, Reflector
from probe.wire import dns, reflector, sip, stun
from probe.wire.reflector import twin

MOST = 65536
"""Bytes that one connection may bring, bulk transfers apart."""
_MOST_MESSAGES = 32
_MOST_QUERY = 1500
_DECIDED_BY = 24  # bytes after which it is clear whether a connection speaks anything known …
_LONGEST_LINE = 8192  # … but for the first line of HTTP or SIP, which tells at its end
_HTTP = re.compile(rb"[A-Z]{3,10} [^\s]+ HTTP/1\.[01]\r?\n")
_HTTP_START = re.compile(rb"[A-Z]{3,10} [^\r\n]*")
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,6})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

Kind = Literal["tls", "http", "sip", "stun", "dns", "plain"]


class Peer(msgspec.Struct, frozen=True):
    """Both ends of a connection, and the SYN that opened it."""

    source: str
    source_port: int
    address: str
    port: int
    syn: Syn | None = None


class Send(msgspec.Struct, frozen=True):
    """Send bytes."""

    data: bytes


class Close(msgspec.Struct, frozen=True):
    """End the connection once all is sent."""


class StartTls(msgspec.Struct, frozen=True):
    """Speak TLS; ``data`` has come already. What is said inside goes to a new conversation."""

    data: bytes


class Run(msgspec.Struct, frozen=True):
    """A bulk transfer, then close. ``framed``: filling looks like TLS records; ``inverted``: every bit flipped;
    ``came``: so many bytes of it have come already, behind the order."""

    transfer: Transfer
    framed: bool = False
    inverted: bool = False
    head: bytes = b""
    came: int = 0


class AskPeer(msgspec.Struct, frozen=True):
    """Ask a peer; what it says goes to :meth:`Talk.told`."""

    ask: Ask


Act = Send | Close | StartTls | Run | AskPeer


class Talk:
    """A conversation; ``inside``: the protocol around it is TLS already."""

    def __init__(self, core: Reflector, peer: Peer, *, inside: bool = False) -> None:
        self._core, self._peer, self._inside = core, peer, inside
        self._source = reflector.source_key(peer.source)
        self._buffer = b""
        self._taken = self._messages = 0
        self._kind: Kind | None = None
        self._inverted = False

    def feed(self, data: bytes, now: float) -> list[Act]:
        """What to do about bytes that came. Never raises on what they hold."""
        self._taken += len(data)
        if self._taken > MOST:
            return [Close()]
        self._buffer += twin(data) if self._inverted else data
        if self._kind is None and not self._decide(now):
            return [Close()] if self._hopeless() else []
        try:
            acts = self._next(now)
        except MalformedPacket:
            acts = [Close()]
        return [self._turned(act) for act in acts]

    def _hopeless(self) -> bool:
        """Whether no more bytes can make it anything known."""
        line = any(_HTTP_START.match(one) for one in (self._buffer, twin(self._buffer)))
        return len(self._buffer) >= (_LONGEST_LINE if line else _DECIDED_BY)

    def _turned(self, act: Act) -> Act:
        """A twin's answer is a twin."""
        if self._inverted and isinstance(act, Send):
            return Send(twin(act.data))
        if self._inverted and isinstance(act, Run):
            return msgspec.structs.replace(act, inverted=True)
        return act

    def _decide(self, now: float) -> bool:
        for inverted in (False, True):
            data = twin(self._buffer) if inverted else self._buffer
            kind = self._recognise(data, now)
            if kind is not None:
                self._kind, self._buffer, self._inverted = kind, data, inverted
                self._core.counts[f"tcp {kind} twin" if inverted else f"tcp {kind}"] += 1
                return True
        return False

    def _recognise(self, data: bytes, now: float) -> Kind | None:
        if len(data) < 8:
            return "tls" if data[:2] == b"\x16\3" and not self._inside else None
        token = data[: reflector.TOKEN]
        if reflector.valid(self._core.settings.secret, token, self._source, now):
            return "plain"
        if data[:2] == b"\x16\3" and not self._inside:
            return "tls"
        if stun.is_stun(data):
            return "stun"
        if _HTTP_START.match(data):
            # Both begin with a method in capitals: the end of the line tells.
            line, found, _ = data.partition(b"\n")
            return None if not found else "sip" if b" SIP/" in line else "http"
        if 17 <= int.from_bytes(data[:2], "big") <= _MOST_QUERY and not data[4] & 0x80 and data[6:8] == b"\0\1":
            return "dns"
        return None

    def _next(self, now: float) -> list[Act]:
        match self._kind:
            case "tls":
                return self._tls(now)
            case "http":
                return self._http(now)
            case "plain":
                data, self._buffer = self._buffer, b""
                return [Send(data)]
        acts: list[Act] = []
        while (message := self._message()) is not None:
            self._messages += 1
            if self._messages > _MOST_MESSAGES:
                return [*acts, Close()]
            acts += [Send(reply) for reply in self._replies(message, now)]
        return acts

    def _message(self) -> bytes | None:
        """The next whole message of a stream of them. Raises MalformedPacket."""
        if self._kind == "sip":
            size = sip.size(self._buffer)
        elif self._kind == "stun":
            size = stun.size(self._buffer)
        else:
            size = 2 + int.from_bytes(self._buffer[:2], "big") if len(self._buffer) >= 2 else None
        if size is None or len(self._buffer) < size:
            return None
        message, self._buffer = self._buffer[:size], self._buffer[size:]
        return message

    def _replies(self, message: bytes, now: float) -> list[bytes]:
        peer = self._peer
        if self._kind == "sip":
            return calls.sip_replies(message, self._received(message), peer.address, peer.port)
        if self._kind == "stun":
            reply = calls.stun_reply(message, peer.source, peer.source_port, self._core.settings.zone)
            return [] if reply is None else [reply]
        query = zone.question(message[2:])
        if query is None:
            raise MalformedPacket("no DNS query")
        answer = self._core.zone.answer(query, peer.source, "tls" if self._inside else "tcp", now)
        return [dns.framed(dns.encode(answer))]

    def _received(self, data: bytes) -> Received:
        copy = self._core.received(data, self._peer.port, self._peer.source_port)
        return msgspec.structs.replace(copy, transport="tls" if self._inside else "tcp", syn=self._peer.syn)

    def _tls(self, now: float) -> list[Act]:
        """A ClientHello whose session ID orders a transfer, or the beginning of TLS."""
        data = self._buffer
        end = 5 + int.from_bytes(data[3:5], "big")
        if len(data) < 5 or len(data) < min(end, MOST // 2):
            return []
        ordered = reflector.order(data[:end])  # what follows may be the first of an upload
        if ordered is not None and reflector.valid(self._core.settings.secret, ordered[0], self._source, now):
            return [Run(ordered[1], framed=True, came=len(data) - end)]
        self._buffer = b""
        # There is no twin of a TLS session: nobody could decrypt it.
        return [Close() if self._inverted else StartTls(data)]

    def _http(self, now: float) -> list[Act]:
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return []
        line = _HTTP.match(head + b"\r\n")
        if line is None:
            return [Send(_response("400 Bad Request", b"", "text/plain")), Close()]
        path = head.split(b" ", 2)[1].decode("latin-1")
        at = path.find(reflector.CONTROL_PATH)  # a proxy may have made it a whole URL
        if at >= 0:
            return self._control(path[at:], len(body), now)
        length = _LENGTH.search(head)
        if length is not None and len(body) < min(int(length[1]), MOST - len(head) - 4):
            return []
        request, self._buffer = self._buffer, b""
        self._core.counts["page"] += 1
        return [Send(_response("200 OK", reflector.page(self._received(request)), "text/html; charset=utf-8")), Close()]

    def _control(self, path: str, came: int, now: float) -> list[Act]:
        try:
            token, request = reflector.parse_path(path)
        except MalformedPacket as error:
            return [Send(_response("400 Bad Request", str(error)[:200].encode(), "text/plain")), Close()]
        if isinstance(request, Transfer):
            size = 1000 * request.kilobytes if request.direction == "down" else 0
            return [Run(request, head=_head("200 OK", size, "application/octet-stream"), came=came)]
        answer = self._core.request(request, self._source, token, now, stream=True)
        if isinstance(answer, Ask):
            return [AskPeer(answer)]
        return [Send(_json(answer)), Close()]

    def told(self, ask: Ask, answer: Answer | None) -> list[Act]:
        """What to do once the peer has answered, or did not (None)."""
        return [self._turned(act) for act in (Send(_json(self._core.said(ask, answer))), Close())]


def _json(answer: Answer) -> bytes:
    return _response("200 OK", msgspec.json.encode(answer), "application/json")


def _head(status: str, length: int, kind: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nServer: {calls.SOFTWARE.replace(' ', '-')}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode()


def _response(status: str, body: bytes, kind: str) -> bytes:
    return _head(status, len(body), kind) + body
