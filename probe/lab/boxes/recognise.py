"""What knows calls and QUIC by their bytes: STUN, SIP, RTP, DTLS, and the name in a QUIC Initial."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from probe.lab.boxes import Emit
from probe.lab.boxes.flows import Flow, among, flow_of, goes, resets
from probe.lab.kinds import Recognise
from probe.model.errors import MalformedPacket
from probe.model.packet import Flags, Packet, Tcp, Udp
from probe.wire import quic, rtp, sip, stun

_MOST = 20_000  # flows remembered
_DTLS = (b"\xfe\xff", b"\xfe\xfd")  # versions 1.0 and 1.2 (RFC 6347)


class _Seen:
    """What is remembered of a flow. ``media``: source and number of its last packet of each direction."""

    def __init__(self, chosen: bool) -> None:
        self.chosen = chosen
        self.media: dict[bool, tuple[int, int]] = {}
        self.first: float | None = None
        self.count = 0
        self.silent_until = 0.0


class Recogniser:
    """What :class:`Recognise` is."""

    in_path = True

    def __init__(self, spec: Recognise, random: Random, now: Callable[[], float]) -> None:
        self._spec = spec
        self._random = random
        self._now = now
        self._words = tuple(word.encode() for word in spec.words)
        self._flows: dict[Flow, _Seen] = {}

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool:
        spec, header = self._spec, packet.header
        if not isinstance(header, Tcp | Udp) or not goes(upstream, spec.direction):
            return True
        if ("udp" if isinstance(header, Udp) else "tcp") not in spec.transport:
            return True
        flow = flow_of(packet, header, upstream)
        if isinstance(header, Tcp) and header.flags & Flags.SYN:
            self._flows.pop(flow, None)
        if not among(flow[3], spec.ports):
            return True
        seen = self._flows.get(flow) or self._meet(flow)
        now = self._now()
        if now < seen.silent_until:
            return False
        if not seen.chosen or not self._knows(packet.payload, upstream, seen):
            return True
        seen.first = now if seen.first is None else seen.first
        seen.count += 1
        if now - seen.first < spec.after or seen.count <= spec.packets:
            return True
        seen.silent_until = now + spec.residual
        if spec.action == "reset" and isinstance(header, Tcp):
            back, onwards = resets(packet, header)
            emit(back, upstream=not upstream)
            emit(onwards, upstream=upstream)
        return False

    def _meet(self, flow: Flow) -> _Seen:
        if len(self._flows) >= _MOST:
            del self._flows[next(iter(self._flows))]
        seen = self._flows[flow] = _Seen(self._random.random() < self._spec.share)
        return seen

    def _knows(self, payload: bytes, upstream: bool, seen: _Seen) -> bool:
        known = any(_LOOKS[dialect](payload, upstream, seen) for dialect in self._spec.match if dialect != "quic_sni")
        if known:
            return not self._words or any(word in payload for word in self._words)
        name = quic_name(payload) if "quic_sni" in self._spec.match else None
        return name is not None and any(word in name for word in self._spec.words)


def _stun(payload: bytes, _upstream: bool, _seen: _Seen) -> bool:
    return stun.is_stun(payload)


def _sip(payload: bytes, _upstream: bool, _seen: _Seen) -> bool:
    return sip.is_sip(payload)


def _rtp(payload: bytes, upstream: bool, seen: _Seen) -> bool:
    """Two bits are no proof: a filter waits for a second packet of the source, numbered soon after the first."""
    if not rtp.is_rtp(payload):
        return False
    source, number = int.from_bytes(payload[8:12], "big"), int.from_bytes(payload[2:4], "big")
    before = seen.media.get(upstream)
    seen.media[upstream] = source, number
    return before is not None and before[0] == source and 0 < (number - before[1]) & 0xFFFF < 100


def _dtls(payload: bytes, _upstream: bool, _seen: _Seen) -> bool:
    return len(payload) >= 13 and 20 <= payload[0] <= 25 and payload[1:3] in _DTLS


_LOOKS = {"stun": _stun, "sip": _sip, "rtp": _rtp, "dtls": _dtls}


def quic_name(payload: bytes) -> str | None:
    """The server name in a client's QUIC Initial, in lower case; None where there is none."""
    if not quic.is_initial(payload):
        return None
    try:
        name = quic.decrypt(payload).server_name
    except MalformedPacket:
        return None
    return None if name is None else name.lower()
