"""What changes header fields in passing."""

from __future__ import annotations

from random import Random

import msgspec

from probe.lab.boxes import Emit, fill
from probe.lab.boxes.flows import among, flow_of, goes
from probe.lab.kinds import Rewrite
from probe.model.packet import Flags, Packet, Protocol, Tcp, Udp

_NUMBERS = {"tcp": {Protocol.TCP}, "udp": {Protocol.UDP}, "icmp": {Protocol.ICMP, Protocol.ICMPV6}}
# IANA's TCP option kinds; "sack" is both the permission and the blocks.
_KINDS = {"mss": {2}, "window_scale": {3}, "sack": {4, 5}, "timestamps": {8}, "mptcp": {30}, "fast_open": {34}}
_END, _NOP, _MSS = 0, 1, 2


class Rewriter:
    """What :class:`Rewrite` is."""

    in_path = True

    def __init__(self, spec: Rewrite, random: Random) -> None:
        self._spec = spec
        self._random = random
        self._protocols = set().union(*(_NUMBERS[one] for one in spec.protocols))
        self._strip = set().union(*(_KINDS[one] for one in spec.strip))

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool | Packet:  # noqa: ARG002 - it says nothing
        spec, header = self._spec, packet.header
        if not goes(upstream, spec.direction) or (self._protocols and packet.protocol not in self._protocols):
            return True
        if spec.ports and not (
            isinstance(header, Tcp | Udp) and among(flow_of(packet, header, upstream)[3], spec.ports)
        ):
            return True
        dscp, ecn = packet.tos >> 2, packet.tos & 3
        tos = (dscp if spec.dscp is None else spec.dscp) << 2 | (ecn if spec.ecn is None else spec.ecn)
        ident = packet.ident
        if ident is not None and not packet.more_fragments and not packet.fragment_offset:
            ident = fill(spec.ip_id, ident, self._random, 1, 65535)
        if isinstance(header, Tcp) and (self._strip or spec.mss):
            options = rewritten(header.options, self._strip, spec.mss if header.flags & Flags.SYN else 0)
            header = msgspec.structs.replace(header, options=options)
        ttl = packet.ttl if spec.ttl is None else spec.ttl
        changed = msgspec.structs.replace(packet, tos=tos, ident=ident, ttl=ttl, header=header)
        return True if changed == packet else changed


def rewritten(options: bytes, strip: set[int], mss: int) -> bytes:
    """TCP options with some overwritten by no-operations, and the MSS brought down to ``mss`` (0: as it is)."""
    out = bytearray(options)
    at = 0
    while at < len(out) and out[at] != _END:
        if out[at] == _NOP:
            at += 1
            continue
        size = out[at + 1] if at + 1 < len(out) else 0
        if size < 2 or at + size > len(out):
            break  # malformed: a middlebox leaves it alone
        if out[at] in strip:
            out[at : at + size] = bytes([_NOP]) * size
        elif out[at] == _MSS and mss and size == 4 and int.from_bytes(out[at + 2 : at + 4], "big") > mss:
            out[at + 2 : at + 4] = mss.to_bytes(2, "big")
        at += size
    return bytes(out)
