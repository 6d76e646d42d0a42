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


class TcpStep(msgspec.Struct, tag="tcp", frozen=True, kw_only=True):
    """Handshake by the kernel from a fresh source port at full TTL, then ``payload`` at ``ttl``, then listen.

    No payload: the handshake alone.
    Listening ends at ``wait`` after the payload, or ``linger`` after the first event that answers it. At most
    ``read_limit`` bytes of answer are taken. The flow is aborted with one RST at full TTL.
    ``path`` asks for the routers at those TTLs *of this very flow*: bare ACKs, sent after the handshake and before
    the payload, whose ICMP errors name them.
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


class SynStep(msgspec.Struct, tag="syn", frozen=True, kw_only=True):
    """One bare SYN at a TTL (a TCP traceroute's probe); ``flow`` as for :class:`UdpStep`."""

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


Step = UdpStep | TcpStep | SynStep | EchoStep | PauseStep

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


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What one step sent and everything that was then heard on its flow, in order of time.

    ``sent_at`` is when the step's payload (or probe) left, in seconds since the exchange began; None if it never did.
    """

    step: Step
    heard: tuple[Heard, ...] = ()
    sent_at: float | None = None
    failure: Failure = ""
    note: str = ""

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
    "FULL_TTL", "EchoStep", "Exchange", "Failure", "Heard", "Icmp", "PauseStep", "Step", "SynStep", "TcpStep", "Udp",
    "UdpStep",
]
