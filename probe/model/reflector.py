"""What a probe and a reflector say to each other: ``colibri.reflector/1``.

Requests and answers are JSON objects told apart by ``do``. They go as datagrams behind a token
(``probe.wire.reflector``) or, where UDP does not get through, in the path of an HTTP request. No message ever holds the
probe's public address.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PORT = 47474
"""Where control messages go. (Every other served port takes them as well.)"""
LIFETIME = 300
"""Seconds for which a token is good."""
MEMORY = 300.0
"""Seconds for which a reflector remembers streams and arrivals."""
MOST_STREAMS = 8
"""Streams that one report tells of."""
MOST_ARRIVALS = 96
"""Packets that one question may ask after over UDP; over HTTP, :data:`MOST_ARRIVALS_HTTP`."""
MOST_ARRIVALS_HTTP = 2048

Direction = Literal["down", "up"]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Hello(msgspec.Struct, tag="hello", tag_field="do", frozen=True):
    """Asks for a token. Over UDP it is padded: the answer is never larger than the question."""


class Grant(msgspec.Struct, tag="grant", tag_field="do", frozen=True, kw_only=True, omit_defaults=True):
    """A token, bound to the address that asked, and what this reflector offers.

    ``token``: 24 hexadecimal digits; ``lifetime``: seconds. ``udp`` and ``tcp``: ports that are served, all of them;
    ``random``: those among them that no service is known by. ``certificate``: SHA-256 of its TLS certificate (DER).
    ``silent``: addresses that never answer. ``peers``: names of other reflectors that it can ask (a witness).
    ``raw``: whether it sees SYNs, pings and datagrams before any firewall of its own host does.
    """

    token: str
    lifetime: int = LIFETIME
    name: str = ""
    zone: str = ""
    certificate: str = ""
    udp: tuple[int, ...] = ()
    tcp: tuple[int, ...] = ()
    random: tuple[int, ...] = ()
    silent: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    raw: bool = False


class Echo(msgspec.Struct, tag="echo", tag_field="do", frozen=True, omit_defaults=True):
    """Asks for :class:`Received`: this very message as it arrived. ``tos``: TOS byte of the answer's IP header."""

    tos: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0


class Syn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The SYN that opened a connection, as it arrived. ``options``: raw TCP options; ``length``: of the IP packet."""

    ttl: int
    tos: int = 0
    length: int = 0
    ident: int | None = None
    dont_fragment: bool = False
    window: int = 0
    flags: int = 2
    options: bytes = b""


class Received(msgspec.Struct, tag="received", tag_field="do", frozen=True, kw_only=True, omit_defaults=True):
    """What arrived, as it arrived.

    ``data``: the bytes (of a stream: of the request), cut where they are many; addresses in their text that could be
    the home's public one are replaced by ``0.0.0.0`` or ``::``, ``masked`` times. ``size``: bytes before both.
    ``port`` and ``source_port``: as on the packet that arrived, so behind all NATs. ``ttl`` and ``tos``: of the
    datagram, None where it came over TCP (then ``syn`` holds those of the SYN, if the kernel kept it).
    """

    data: bytes = b""
    size: int = 0
    masked: int = 0
    transport: Literal["udp", "tcp", "tls"] = "udp"
    port: int = 0
    source_port: int = 0
    ttl: int | None = None
    tos: int | None = None
    syn: Syn | None = None


class Report(msgspec.Struct, tag="report", tag_field="do", frozen=True):
    """Asks how streams of RTP arrived, by their SSRC (at most :data:`MOST_STREAMS`)."""

    streams: tuple[int, ...]


class StreamReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a stream arrived (RFC 3550, 6.4.1), from the sender's address alone.

    ``first`` and ``last``: lowest and highest extended sequence number; ``packets``: arrived, duplicates included;
    ``lost``: numbers between first and last that never came; ``jitter``: seconds (RFC 3550, A.8). ``arrived``: one bit
    a number from ``first`` on, most significant first. ``inverted``: it was a twin with every bit flipped.
    ``ttls`` and ``toses``: the values seen in the IP headers, ascending. ``echoed``: how many were sent back.
    """

    ssrc: int
    port: int = 0
    inverted: bool = False
    packets: int = 0
    first: int = 0
    last: int = 0
    lost: int = 0
    jitter: float = 0.0
    arrived: bytes = b""
    ttls: tuple[int, ...] = ()
    toses: tuple[int, ...] = ()
    echoed: int = 0


class Reports(msgspec.Struct, tag="reports", tag_field="do", frozen=True):
    """Answer to :class:`Report`. ``unknown``: streams of which nothing came, or nothing is remembered."""

    streams: tuple[StreamReport, ...] = ()
    unknown: tuple[int, ...] = ()


class Arrivals(msgspec.Struct, tag="arrivals", tag_field="do", frozen=True, kw_only=True, omit_defaults=True):
    """Asks which packets arrived. ``packets``: their ids of 8 bytes (``probe.wire.reflector.arrival_id``), joined.

    ``within``: look back so many seconds. ``peer``: ask that other reflector, by its name in :class:`Grant`; this one
    is then the witness of a host whose own answers don't come through.
    """

    packets: bytes
    within: float = MEMORY
    peer: str = ""


class Arrived(msgspec.Struct, tag="arrived", tag_field="do", frozen=True, kw_only=True, omit_defaults=True):
    """Answer to :class:`Arrivals`, in its order: how often each packet came, and how often from the asker's address.

    -1 where it did not come **and the host can't tell** (no capture, packets dropped, memory too short): only 0 means
    that it did not arrive. ``why``: why it can't tell; "" where it can.
    """

    counts: tuple[int, ...] = ()
    yours: tuple[int, ...] = ()
    why: str = ""


class Asked(msgspec.Struct, tag="asked", tag_field="do", frozen=True):
    """Asks who resolved the names ``<token>.whoami.<zone>``. ``labels``: their first labels (hexadecimal digits)."""

    labels: tuple[str, ...]


class Resolver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asked for a name. ``network``: the first 24 (IPv6: 48) bits of its address, as ``198.51.100.0/24``, or
    ``self`` where the asker is the home's own address. ``same``: equal for equal addresses (keyed, so not to be
    turned back). ``qtype``: what was asked for; ``transport``: how; ``count``: how often."""

    label: str = ""
    network: str
    same: str = ""
    qtype: int = 0
    transport: Literal["udp", "tcp", "tls"] = "udp"
    count: int = 1


class Askers(msgspec.Struct, tag="askers", tag_field="do", frozen=True):
    """Answer to :class:`Asked`; a label that nobody asked for is not in it."""

    resolvers: tuple[Resolver, ...] = ()


class Refused(msgspec.Struct, tag="refused", tag_field="do", frozen=True):
    """The request can't be served; ``why`` in words."""

    why: str


class Transfer(msgspec.Struct, tag="transfer", tag_field="do", frozen=True, kw_only=True):
    """Orders a bulk transfer on this connection: ``kilobytes`` (1000 bytes) to the probe or from it.

    It ends after ``seconds`` or ``kilobytes``; ``kbits`` a second at most (0: as fast as the reflector allows).
    """

    direction: Direction = "down"
    seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 10
    kilobytes: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1000
    kbits: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0


class PeerQuestion(msgspec.Struct, tag="peer", tag_field="do", frozen=True, kw_only=True):
    """A witness asks its peer: :class:`Arrivals` for a probe known by ``source``, a keyed hash of its address.

    ``at``: seconds since the epoch; ``proof``: HMAC-SHA256 with the peers' shared key over all the rest.
    """

    packets: bytes
    within: float
    source: bytes
    at: int
    proof: bytes = b""


Request = Hello | Echo | Report | Arrivals | Asked | Transfer | PeerQuestion
Answer = Grant | Received | Reports | Arrived | Askers | Refused
