"""An application-level gateway for SIP: puts the public address where the softphone wrote its private one."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from probe.lab.boxes import Emit
from probe.lab.boxes.flows import Flow, among, flow_of
from probe.lab.kinds import SipAlg
from probe.model.errors import MalformedPacket
from probe.model.packet import Packet, Udp
from probe.wire import sip

_MOST = 10_000  # flows remembered
_ADDRESS = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_HOMES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


class Gateway:
    """What :class:`SipAlg` is. IPv4 only: IPv6 has no NAT to get through."""

    in_path = True

    def __init__(self, spec: SipAlg) -> None:
        self._spec = spec
        self._private: dict[Flow, bytes] = {}

    def see(self, packet: Packet, upstream: bool, emit: Emit) -> bool | Packet:  # noqa: ARG002 - it says nothing
        header = packet.header
        if packet.version != 4 or not isinstance(header, Udp) or not sip.is_sip(packet.payload):
            return True
        flow = flow_of(packet, header, upstream)
        if not among(flow[3], self._spec.ports):
            return True
        public = flow[0].encode()
        if upstream:
            private = next((found for found in _ADDRESS.findall(packet.payload) if _is_private(found)), None)
            if private is None:
                return True
            while len(self._private) >= _MOST:
                del self._private[next(iter(self._private))]
            self._private[flow] = private
            payload = _replaced(packet.payload, private, public)
        else:
            private = self._private.get(flow)
            payload = packet.payload if private is None else _replaced(packet.payload, public, private)
        return msgspec.structs.replace(packet, payload=payload)


def _is_private(text: bytes) -> bool:
    try:
        address = ipaddress.ip_address(text.decode())
    except ValueError:
        return False
    return any(address in network for network in _HOMES)


def _replaced(payload: bytes, old: bytes, new: bytes) -> bytes:
    """A message with an address replaced wherever it stands, and a Content-Length that fits again."""
    try:
        message = sip.decode(payload)
    except MalformedPacket:
        return payload

    def swap(text: bytes) -> bytes:
        return _ADDRESS.sub(lambda match: new if match[0] == old else match[0], text)

    body = swap(message.body)
    headers = tuple(
        (name, str(len(body)).encode() if sip.long_name(name) == b"content-length" else swap(value))
        for name, value in message.headers
    )
    return sip.encode(msgspec.structs.replace(message, start=swap(message.start), headers=headers, body=body))
