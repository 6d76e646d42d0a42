"""What a measurement asks for (steps) and what it gets back (exchanges).

A measurement yields a *batch*, a list of steps to perform side by side, and is sent a list of exchanges, one a step and
in the same order. Steps are plain data: the exchange log keeps them, and a replay compares them.
All durations are seconds. A step says nothing about source ports, budgets or clocks: those are the engine's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from probe.model.packet import Flags, Icmp, Packet, Tcp, Udp

FULL_TTL = 64
"""The TTL of a packet that is meant to arrive (IANA's recommended default)."""
_SYN_ACK = Flags.SYN | Flags.ACK


class UdpStep(msgspec.Struct, tag="udp", frozen=True, kw_only=True):
    """Send one datagram and listen.

    Steps of one run that share ``flow`` (and address and port) use one source port, so that equal-cost paths treat them
    alike (Paris traceroute); answers are told apart by ``match``: (offset, length) of the payload bytes that an answer
    repeats, such as the DNS identifier (0, 2).
    """

    address: str
    port: int
    payload: bytes
    ttl: int = FULL_TTL
    flow: str = ""
    match: tuple[int, int] | None = None
    wait: float = 2.0  # for a first answer
    linger: float = 0.0  # go on listening after the first answer
    tos: int = 0  # DSCP and ECN, as the byte of the IP header (RFC 3168)


class StreamStep(msgspec.Struct, tag="stream", frozen=True, kw_only=True, omit_defaults=True):
    """Send ``count`` datagrams at a steady pace and listen, as a call's media does (RTP: RFC 3550).

    ``counters`` are big-endian fields of the payload that grow from datagram to datagram: (offset, length, increment).
    ``inverted``: every bit of what is so written is flipped, which makes a twin of the same size and timing that no
    filter knows. ``flow`` as for :class:`UdpStep`. Listening ends ``wait`` after the last datagram; if nothing at all
    was heard for ``give_up`` seconds (0: never), the stream is broken off; so it is where this machine is too busy to
    keep the pace, when it takes a quarter longer than it should.
    ``Exchange.account`` tells of every datagram; of the packets only the first that left and the last that came
    back are kept, and some of those that are no echoes.
    """

    address: str
    port: int
    payload: bytes
    count: int
    interval: float = 0.02
    counters: tuple[tuple[int, int, int], ...] = ()
    inverted: bool = False
    ttl: int = FULL_TTL
    flow: str = ""
    wait: float = 1.0
    give_up: float = 0.0


class TcpStep(msgspec.Struct, tag="tcp", frozen=True, kw_only=True):
    """Handshake by the kernel from a fresh source port at full TTL, then ``payload`` at ``ttl``, then listen.

    No payload: the handshake alone.
    Listening ends at ``wait`` after the payload, or ``linger`` after the first event that answers it. At most
    ``read_limit`` bytes of answer are taken. The flow is aborted with one RST at full TTL.
    ``path`` asks for the routers at those TTLs *of this very flow*: bare ACKs, sent after the handshake and before
    the payload, whose ICMP errors name them.
    ``cuts`` are offsets at which the payload is cut into segments of their own, sent ``gap`` seconds apart.
    Steps of one run that share a ``flow`` that is not empty use one source port, one after the other (never side by
    side): that shows whether a 4-tuple is remembered. Of ``tos`` only the DSCP can be chosen: the kernel keeps the two
    ECN bits of TCP for itself.
    """

    address: str
    port: int
    payload: bytes = b""
    ttl: int = FULL_TTL
    connect_wait: float = 3.0
    wait: float = 3.0
    linger: float = 0.3
    read_limit: int = 16384
    path: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    gap: float = 0.02
    flow: str = ""
    tos: int = 0


class TlsStep(msgspec.Struct, tag="tls", frozen=True, kw_only=True, omit_defaults=True):
    """A TLS session by the system's library: handshake, then ``payload``, then what comes back.

    For what can't be read in the clear. No certificate is refused: ``Exchange.session`` holds the chain and what the
    library thinks of it, for the rules to judge. ``server_name`` "" leaves SNI out.
    Listening ends ``wait`` after the payload, at the end of the stream, or at ``read_limit`` bytes.
    """

    address: str
    port: int
    server_name: str = ""
    alpn: tuple[str, ...] = ()
    payload: bytes = b""
    connect_wait: float = 3.0
    wait: float = 3.0
    read_limit: int = 16384


class TransferStep(msgspec.Struct, tag="transfer", frozen=True, kw_only=True, omit_defaults=True):
    """A bulk transfer over TCP: ``payload``, then ``upload`` bytes of filling, and all that comes back, timed.

    It ends after ``seconds`` (from the payload), at ``limit`` bytes received, or with the stream. ``Exchange.samples``
    tells every ``every`` seconds how much the far end had acknowledged and how much had come; of the packets only the
    first and the last few are kept.
    ``decoy``: bytes that are sent first, twice, in the payload's own place, with the TTL ``decoy_ttl``: they die on the
    way, and only who sits before that takes them for the payload (Xue et al., 2021, "Throttling Twitter").
    """

    address: str
    port: int
    payload: bytes
    upload: int = 0
    seconds: float = 5.0
    limit: int = 1_000_000
    every: float = 0.1
    connect_wait: float = 3.0
    decoy: bytes = b""
    decoy_ttl: int = 0


class SynStep(msgspec.Struct, tag="syn", frozen=True, kw_only=True):
    """One bare SYN at a TTL (a TCP traceroute's probe); all steps of a ``flow`` share one source port."""

    address: str
    port: int
    ttl: int = FULL_TTL
    flow: str = ""
    wait: float = 1.0


class EchoStep(msgspec.Struct, tag="echo", frozen=True, kw_only=True):
    """One ICMP echo request at a TTL; steps that share ``flow`` share identifier and checksum (Paris)."""

    address: str
    ttl: int = FULL_TTL
    flow: str = ""
    wait: float = 1.0


class PauseStep(msgspec.Struct, tag="pause", frozen=True, kw_only=True):
    """Let time pass (residual blocking, spacing of trials). A driver with a simulated clock need not wait."""

    seconds: float


class ListenStep(msgspec.Struct, tag="listen", frozen=True, kw_only=True):
    """Go on listening for answers to a datagram of an earlier batch, until ``seconds`` after it was asked for.

    Its exchange is that of the datagram, with all that was heard since, other batches' time included: so a measurement
    need not stand still while a late answer may still come.
    """

    of: UdpStep
    seconds: float

    @property
    def address(self) -> str:
        """Where the datagram went."""
        return self.of.address


Step = UdpStep | StreamStep | TcpStep | TlsStep | TransferStep | SynStep | EchoStep | PauseStep | ListenStep

Failure = Literal[
    "",
    "refused",  # a TCP handshake answered by RST
    "timeout",  # a TCP handshake that got nothing back
    "unreachable",  # a TCP handshake ended by an ICMP error
    "lost_race",  # the flow was torn down before the payload could be sent
    "error",  # any other error of this machine; Exchange.note says which
]


class Heard(msgspec.Struct, frozen=True):
    """One packet of an exchange. ``at``: seconds since the exchange began (kernel time stamps)."""

    at: float
    outgoing: bool
    packet: Packet


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A :class:`TlsStep`'s session, as the system's library saw it.

    ``chain``: certificates as sent, leaf first, DER. ``distrust``: why this machine's authorities (and those that
    ``[measure] authorities`` adds) don't vouch for the chain and the name; "" if they do. ``alert``: why the handshake
    failed, in the library's words. ``at``: seconds since the epoch; ``synchronised``: whether the clock was trusted
    (without it, never a verdict on a certificate). ``data``: what came back, decrypted.
    """

    version: str = ""
    alpn: str = ""
    chain: tuple[bytes, ...] = ()
    distrust: str = ""
    alert: str = ""
    at: int = 0
    synchronised: bool = False
    data: bytes = b""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One look at a :class:`TransferStep`: seconds since its payload left, bytes acknowledged, bytes received."""

    at: float
    acknowledged: int
    received: int


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What one step sent and everything that was then heard on its flow, in order of time.

    ``sent_at`` is when the step's payload (or probe) left, in seconds since the exchange began; None if it never did.
    ``session``, ``samples`` and ``account`` are told by the engine, not by packets: the exchange log keeps them.
    ``account``: when each datagram of a :class:`StreamStep` left and came back (:mod:`probe.wire.passages`).
    """

    step: Step
    heard: tuple[Heard, ...] = ()
    sent_at: float | None = None
    failure: Failure = ""
    note: str = ""
    session: Session | None = None
    samples: tuple[Sample, ...] = ()
    account: bytes = b""

    @property
    def answers(self) -> list[Heard]:
        """Incoming packets of the flow itself (not ICMP errors) after the payload left."""
        start = self.sent_at
        if start is None:
            return []
        return [h for h in self.heard if not h.outgoing and h.at >= start and not _is_error(h.packet)]

    @property
    def errors(self) -> list[Heard]:
        """ICMP errors about this step's packets."""
        return [h for h in self.heard if not h.outgoing and _is_error(h.packet)]

    @property
    def synack(self) -> Heard | None:
        """The SYN-ACK that opened the flow, if there was one."""
        for h in self.heard:
            header = h.packet.header
            if not h.outgoing and isinstance(header, Tcp) and header.flags & _SYN_ACK == _SYN_ACK:
                return h
        return None


def _is_error(packet: Packet) -> bool:
    return isinstance(packet.header, Icmp) and packet.header.quoted is not None


__all__ = [
    "FULL_TTL", "EchoStep", "Exchange", "Failure", "Heard", "Icmp", "ListenStep", "PauseStep", "Sample", "Session",
    "Step", "StreamStep", "SynStep", "TcpStep", "TlsStep", "TransferStep", "Udp", "UdpStep",
]
