"""From captured packets to what a step heard. Pure: the live engine and a replay call the same function."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from probe.model.exchange import (
    EchoStep,
    Exchange,
    Heard,
    ListenStep,
    PauseStep,
    Step,
    StreamStep,
    SynStep,
    TcpStep,
    TlsStep,
    TransferStep,
    UdpStep,
)
from probe.model.outcome import Entry
from probe.model.packet import Flags, Icmp, Packet, Protocol, Tcp, Udp
from probe.wire.address import address_bytes, address_text
from probe.wire.counters import number_of

_ECHO_REQUEST = {4: 8, 6: 128}


class Record(msgspec.Struct, frozen=True):
    """One captured packet: nanoseconds since the epoch, direction, bytes (already scrubbed) and their meaning."""

    ns: int
    outgoing: bool
    data: bytes
    packet: Packet


def transport(step: Step) -> int:
    """Protocol family of a step, as in :func:`local_port` (ICMP stands for ICMPv6 too)."""
    if isinstance(step, UdpStep | StreamStep | ListenStep):
        return Protocol.UDP
    return Protocol.ICMP if isinstance(step, EchoStep) else Protocol.TCP


def local_port(packet: Packet, outgoing: bool) -> tuple[int, int] | None:
    """(protocol, local port or echo identifier) of the flow that a packet belongs to; an ICMP error belongs to the
    flow of the packet that it quotes. None if it has none."""
    header = packet.header
    if isinstance(header, Icmp):
        if header.quoted is not None:
            return local_port(header.quoted, True)
        return Protocol.ICMP, header.identifier
    if isinstance(header, Tcp):
        return Protocol.TCP, header.source_port if outgoing else header.destination_port
    if isinstance(header, Udp):
        return Protocol.UDP, header.source_port if outgoing else header.destination_port
    return None


def is_error(packet: Packet) -> bool:
    """Whether it is an ICMP error (which quotes a packet of the flow)."""
    return isinstance(packet.header, Icmp) and packet.header.quoted is not None


def observe(entry: Entry, records: Iterable[Record]) -> Exchange:
    """Select and time what belongs to a step among the records of its local port; the rest is the log's word."""
    watch = Watch(entry.step)
    heard = [r for r in records if entry.began <= r.ns <= entry.ended and watch.takes(r)]
    sent = watch.sent
    return Exchange(
        step=entry.step,
        heard=tuple(Heard((r.ns - entry.began) / 1e9, r.outgoing, r.packet) for r in heard),
        sent_at=None if sent is None else (sent.ns - entry.began) / 1e9,
        failure=entry.failure,
        note=entry.note,
        session=entry.session,
        samples=entry.samples,
        account=entry.account,
    )


class Watch:
    """Follows one step through the records of its flow, in order of time. ``sent``: its own packet, once seen."""

    def __init__(self, step: Step) -> None:
        if isinstance(step, ListenStep):
            step = step.of
        self._step = step
        self._own, self._answers = _matchers(step)
        # Steps may spell an IPv6 address as they like; packets have one spelling.
        self._address = "" if isinstance(step, PauseStep) else address_text(address_bytes(step.address))
        self._pause, self._stream = isinstance(step, PauseStep), isinstance(step, StreamStep)
        self._connection = isinstance(step, _CONNECTIONS)
        self.sent: Record | None = None
        # A connection has its port for itself, from the SYN on, unless its flow had it before: then begin with the SYN.
        self._awaited = isinstance(step, TcpStep) and step.flow != ""

    def takes(self, record: Record) -> bool:
        """Whether the record belongs to the step."""
        # Most records of a flow that many steps share are others' (a sweep's own twelve, and what each elicits).
        if self._pause or (not (self._connection or self._stream) and record.outgoing == (self.sent is not None)):
            return False
        step, packet = self._step, record.packet
        header = packet.header
        quoted = header.quoted if isinstance(header, Icmp) else None
        far_end = quoted.destination if quoted else packet.destination if record.outgoing else packet.source
        if far_end != self._address:
            return False
        if record.outgoing:
            self._awaited = False
            if self.sent is None and self._own(packet):
                self.sent = record
                return True
            return self._connection or (self._stream and self._own(packet))
        if self._connection:
            return not self._awaited
        if self.sent is None:
            return False
        if quoted and isinstance(step, StreamStep):
            return isinstance(quoted.header, Udp) and quoted.header.destination_port == step.port
        return _quotes(quoted, self.sent.packet) if quoted else self._answers(packet, self.sent.packet)

    def settles(self, record: Record) -> bool:
        """Whether the record answers the step, so that only ``linger`` remains to be listened for.

        For a TCP flow a bare acknowledgement settles nothing, nor an ICMP error about another packet than the payload.
        """
        if not self.takes(record) or record.outgoing or self.sent is None:
            return False
        header = record.packet.header
        if not self._connection:
            return True
        if isinstance(header, Tcp):
            return bool(record.packet.payload) or bool(header.flags & (Flags.RST | Flags.FIN))
        return isinstance(header, Icmp) and header.quoted is not None and _quotes(header.quoted, self.sent.packet)


_CONNECTIONS = (TcpStep, TlsStep, TransferStep)
Own = Callable[[Packet], bool]
Answers = Callable[[Packet, Packet], bool]


def _matchers(step: Step) -> tuple[Own, Answers]:
    """What the step's own packet looks like, and whether a packet answers it (``answers(packet, own)``)."""
    if isinstance(step, UdpStep):
        return _is_own_datagram(step), _answers_datagram(step)
    if isinstance(step, StreamStep):
        return _is_of_stream(step), _answers_stream(step)
    if isinstance(step, SynStep):
        return _is_own_syn(step), _answers_syn
    if isinstance(step, EchoStep):
        return _is_own_echo(step), _answers_echo
    if isinstance(step, TransferStep) and step.decoy:
        return (lambda p: bool(p.payload) and p.payload != step.decoy), (lambda _p, _own: True)
    return (lambda p: bool(p.payload)), (lambda _p, _own: True)


def _quotes(quoted: Packet, sent: Packet) -> bool:
    """Whether a quote is of this very packet: by the payload as far as the router quotes it, or by the identification.

    A router may quote 8 bytes behind the IP header only (RFC 792), so the payload may be missing.
    """
    if isinstance(sent.header, Tcp) and isinstance(quoted.header, Tcp):
        return quoted.header.sequence == sent.header.sequence
    if isinstance(sent.header, Icmp) and isinstance(quoted.header, Icmp):
        return quoted.header.rest == sent.header.rest
    n = min(len(quoted.payload), len(sent.payload))
    if n and quoted.payload[:n] == sent.payload[:n]:
        return True
    # Too little is quoted, or somebody has rewritten it on the way: that is worth hearing.
    return bool(quoted.ident) and quoted.ident == sent.ident


def _is_own_datagram(step: UdpStep) -> Own:
    return lambda p: (
        isinstance(p.header, Udp)
        and p.ttl == step.ttl
        and p.payload == step.payload
        and (not step.tos or p.tos == step.tos)
    )


def _is_of_stream(step: StreamStep) -> Own:
    return lambda p: isinstance(p.header, Udp) and p.ttl == step.ttl and number_of(step, p.payload) is not None


def _answers_stream(step: StreamStep) -> Answers:
    return lambda p, _sent: isinstance(p.header, Udp) and p.header.source_port == step.port


def _answers_datagram(step: UdpStep) -> Answers:
    def answers(packet: Packet, _sent: Packet) -> bool:
        if not isinstance(packet.header, Udp) or packet.header.source_port != step.port:
            return False
        if step.match is None:
            return True
        start, length = step.match
        return packet.payload[start : start + length] == step.payload[start : start + length]

    return answers


def _is_own_syn(step: SynStep) -> Own:
    return lambda p: (
        isinstance(p.header, Tcp)
        and p.ttl == step.ttl
        and p.header.flags & (Flags.SYN | Flags.ACK) == Flags.SYN
        and p.header.destination_port == step.port
    )


def _answers_syn(packet: Packet, sent: Packet) -> bool:
    mine, theirs = sent.header, packet.header
    return (
        isinstance(mine, Tcp)
        and isinstance(theirs, Tcp)
        and theirs.source_port == mine.destination_port
        and theirs.acknowledgement == (mine.sequence + 1) & 0xFFFFFFFF
    )


def _is_own_echo(step: EchoStep) -> Own:
    return lambda p: isinstance(p.header, Icmp) and p.ttl == step.ttl and p.header.type == _ECHO_REQUEST[p.version]


def _answers_echo(packet: Packet, sent: Packet) -> bool:
    mine, theirs = sent.header, packet.header
    return (
        isinstance(mine, Icmp)
        and isinstance(theirs, Icmp)
        and theirs.type in (0, 129)
        and theirs.rest == mine.rest
    )
