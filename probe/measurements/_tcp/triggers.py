"""Triggers over TCP (an HTTP Host, a TLS server name), and what a flow did after one."""

from __future__ import annotations

from random import Random
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from probe.measurements._locate import Shot, expired
from probe.model.errors import UsageError
from probe.model.exchange import Exchange, Heard
from probe.model.packet import Flags, Packet, Tcp
from probe.wire import http, streams, tls

Kind = Literal["http", "tls"]
PORTS: dict[Kind, int] = {"http": 80, "tls": 443}


class Trigger(msgspec.Struct, frozen=True):
    """What may be filtered: ``host`` in an HTTP request for ``path`` or in a TLS ClientHello, at ``port``."""

    kind: Kind
    host: str
    port: int
    path: str = "/"

    def payload(self, random: Random, host: str | None = None) -> bytes:
        """First flight of the client, for ``host`` instead if given (the harmless twin)."""
        name = self.host if host is None else host
        if self.kind == "http":
            return http.request(
                name, self.path if host is None else "/", headers=(("Accept", "*/*"), ("Connection", "close"))
            )
        return tls.client_hello(name, random.randbytes(32), random.randbytes(32), random.randbytes(32))


def triggers(target: str, port: int = 0) -> list[Trigger]:
    """The triggers that a URL or a bare host stands for: a bare host stands for both HTTP and TLS.

    Raises UsageError for what is neither.
    """
    if "://" in target:
        parts = urlsplit(target)
        try:
            given = parts.port
        except ValueError:
            given = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or given == -1:
            raise UsageError(f"{target!r} is not an http:// or https:// address")
        kind: Kind = "http" if parts.scheme == "http" else "tls"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return [Trigger(kind, parts.hostname, port or given or PORTS[kind], path)]
    host = target.strip().rstrip(".")
    if not host or any(c.isspace() or c in "/?#@" for c in host):
        raise UsageError(f"{target!r} is neither a URL nor a host name")
    if port:
        return [Trigger("http" if port in (80, 8080) else "tls", host, port)]
    return [Trigger("http", host, 80), Trigger("tls", host, 443)]


class Segment(msgspec.Struct, frozen=True):
    """An incoming segment after the payload: seconds since then, IP TTL and identification, TCP fields."""

    after: float
    ttl: int
    ident: int | None
    sequence: int
    window: int
    payload: bytes = b""

    @property
    def end(self) -> int:
        """Sequence number behind its data."""
        return (self.sequence + len(self.payload)) & 0xFFFFFFFF


class Reaction(msgspec.Struct, frozen=True):
    """What a flow did: whether it opened, and what came after the payload."""

    opened: bool
    failure: str
    sent: bool
    round_trip: float | None  # of the handshake, seconds
    synack_ttl: int | None
    resets: tuple[Segment, ...]
    fins: tuple[Segment, ...]
    data: tuple[Segment, ...]
    acknowledged: bool  # the payload arrived somewhere
    expired_at: str | None  # the router whose time exceeded quotes the payload
    first: int = 0  # sequence number of the server's first byte

    @property
    def worked(self) -> bool:
        """The server spoke, and no reset came before it did."""
        return bool(self.data) and not self.cut

    @property
    def cut(self) -> bool:
        """A reset or FIN came that does not close the flow at the end of what the server said, as a server's own does.

        Order of arrival does not count (a network may reorder or lose data), sequence numbers do.
        """
        closing = [_offset(s.end, self.first) for s in (*self.resets, *self.fins)]
        said = max((_offset(d.end, self.first) for d in self.data), default=0)
        return any(end < said or (end == 0 and not said) for end in closing)

    @property
    def silent(self) -> bool:
        """Nothing at all came back, not even an acknowledgement of the payload."""
        return self.sent and not (self.resets or self.fins or self.data or self.acknowledged or self.expired_at)

    @property
    def elicited(self) -> bool:
        """Somebody spoke up because of the payload."""
        return bool(self.resets or self.fins or self.data)

    def stream(self) -> bytes:
        """The first bytes of what the server's side sent, in order."""
        if not self.data:
            return b""
        return streams.reassemble(((d.sequence, d.payload) for d in self.data), self.first)


def _offset(sequence: int, start: int) -> int:
    """How far a sequence number lies behind ``start``, below 0 if before (RFC 9293, section 3.4)."""
    return (sequence - start + (1 << 31)) % (1 << 32) - (1 << 31)


def react(exchange: Exchange) -> Reaction:
    """Read a TCP exchange."""
    syn = next((h for h in exchange.heard if h.outgoing and _flags(h.packet) & Flags.SYN), None)
    synack = exchange.synack
    sent_at = exchange.sent_at
    resets: list[Segment] = []
    fins: list[Segment] = []
    data: list[Segment] = []
    acknowledged = False
    payload_end = _payload_end(exchange)
    for heard in exchange.heard:
        header = heard.packet.header
        if (
            heard.outgoing
            or sent_at is None
            or heard.at < sent_at
            or not isinstance(header, Tcp)
            or header.flags & Flags.SYN
        ):
            continue
        segment = _segment(heard, header, sent_at)
        if header.flags & Flags.RST:
            resets.append(segment)
            continue
        if heard.packet.payload:
            data.append(segment)
        if header.flags & Flags.FIN:
            fins.append(segment)
        if header.flags & Flags.ACK and payload_end is not None and header.acknowledgement == payload_end:
            acknowledged = True
    return Reaction(
        opened=synack is not None and not exchange.failure,
        failure=exchange.failure,
        sent=sent_at is not None,
        round_trip=synack.at - syn.at if synack is not None and syn is not None else None,
        synack_ttl=synack.packet.ttl if synack is not None else None,
        resets=tuple(resets),
        fins=tuple(fins),
        data=tuple(data),
        acknowledged=acknowledged,
        expired_at=_payload_expired_at(exchange),
        first=_first_of_server(synack),
    )


def shot(ttl: int, exchange: Exchange, reaction: Reaction) -> Shot:
    """A trigger sent at ``ttl``, with the routers that path probes of its own flow showed."""
    first = next(iter(sorted((*reaction.resets, *reaction.fins, *reaction.data), key=lambda s: s.after)), None)
    return Shot(
        ttl=ttl,
        elicited=first is not None,
        reply_ttl=first.ttl if first is not None else None,
        expired_at=reaction.expired_at,
        routers=path(exchange),
    )


def path(exchange: Exchange) -> dict[int, str]:
    """TTL → router, from the path probes of the flow: bare segments with the SYN's own sequence number, one below the
    payload's, each with its TTL in the window field and, over IPv4, an IP identification of its own."""
    first = _first_sequence(exchange)
    by_ident: dict[int, int] = {}
    for heard in exchange.heard:
        if heard.outgoing and heard.packet.ident and _is_probe(heard.packet, first):
            by_ident[heard.packet.ident] = heard.packet.ttl
    found: dict[int, str] = {}
    for source, quoted in expired(exchange):
        header = quoted.header
        if not isinstance(header, Tcp) or not _is_probe(quoted, first):
            continue
        # A router may quote 8 bytes behind the IP header only: no window then (RFC 792).
        ttl = header.window - 512 if header.window else by_ident.get(quoted.ident or 0, 0)
        if ttl > 0:
            found.setdefault(ttl, source)
    return found


def _first_sequence(exchange: Exchange) -> int | None:
    for heard in exchange.heard:
        header = heard.packet.header
        if heard.outgoing and isinstance(header, Tcp) and header.flags & Flags.SYN:
            return header.sequence
    return None


def _is_probe(packet: Packet, first: int | None) -> bool:
    header = packet.header
    return isinstance(header, Tcp) and header.sequence == first and not header.flags & Flags.SYN


def _first_of_server(synack: Heard | None) -> int:
    header = synack.packet.header if synack is not None else None
    return (header.sequence + 1) & 0xFFFFFFFF if isinstance(header, Tcp) else 0


def _flags(packet: Packet) -> int:
    return packet.header.flags if isinstance(packet.header, Tcp) else 0


def _segment(heard: Heard, header: Tcp, sent_at: float) -> Segment:
    packet = heard.packet
    return Segment(heard.at - sent_at, packet.ttl, packet.ident, header.sequence, header.window, packet.payload)


def _payload_end(exchange: Exchange) -> int | None:
    for heard in exchange.heard:
        header = heard.packet.header
        if heard.outgoing and heard.packet.payload and isinstance(header, Tcp):
            return (header.sequence + len(heard.packet.payload)) & 0xFFFFFFFF
    return None


def _payload_expired_at(exchange: Exchange) -> str | None:
    first = _first_sequence(exchange)
    if first is None:
        return None
    for source, quoted in expired(exchange):
        if isinstance(quoted.header, Tcp) and quoted.header.sequence == (first + 1) & 0xFFFFFFFF:
            return source
    return None
