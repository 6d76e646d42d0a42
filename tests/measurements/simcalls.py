"""Boxes that meddle with calls in the simulated network, and the far end that calls go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from probe.model.packet import Icmp, Packet, Tcp, Udp
from probe.wire import rtp, sip, stun
from tests.measurements.simfar import FAR, SETTINGS, Far
from tests.measurements.simnet import RST, Network, Passing

UDP = (53, 3478, 5004, 5060, 20_001, 31_234, 41_017, 47474)
TCP = (80, 443, 5060, 5061, 20_001, 31_234, 41_017, 47474)
CALLS = msgspec.structs.replace(SETTINGS, udp=UDP, tcp=TCP, random=(20_001, 31_234, 41_017))
"""A far end that serves all that calls need."""

Content = Literal["sip", "stun", "rtp", "tls", "any"]


def calls_net(version: int = 4, **what: Any) -> Network:
    """A network with that far end."""
    far = what.pop("far", None) or Far(settings=CALLS)
    return Network(hosts={FAR[version]: far, **what.pop("hosts", {})}, version=version, **what)


def content(packet: Packet) -> str:
    """What a filter takes a packet for."""
    data = packet.payload
    if sip.is_sip(data):
        return "sip"
    if stun.is_stun(data):
        return "stun"
    if data[:2] == b"\x16\3":
        return "tls"
    return "rtp" if rtp.is_rtp(data) and data[1] & 0x7F == rtp.PCMU else ""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Drops packets of a content (and all that follows on the flow), of chosen ports and protocols.

    ``share``: of flows that it chooses; ``after``: packets of that content that a flow may have; ``seconds``: the same
    in time; ``loses``: share of the packets that it drops, no more; ``down``: it drops what comes back instead.
    ``reset``: over TCP it resets. ``refuses``: it answers with ICMP (administratively prohibited).
    """

    at: int
    match: tuple[Content, ...] = ("any",)
    udp: bool = True
    tcp: bool = False
    ports: tuple[int, ...] = ()
    but: tuple[int, ...] = ()
    only: str = ""
    share: float = 1.0
    after: int = 0
    seconds: float = 0.0
    loses: float = 1.0
    down: bool = False
    reset: bool = False
    refuses: bool = False

    def _taken(self, passing: Passing) -> bool:
        header = passing.packet.header
        if isinstance(header, Icmp) or header is None:
            return False
        if not (self.udp if isinstance(header, Udp) else self.tcp):
            return False
        port = header.destination_port
        return not (self.ports and port not in self.ports) and port not in self.but

    def act(self, passing: Passing) -> bool:
        """Whether a packet on its way to the far end is dropped."""
        header = passing.packet.header
        if not self._taken(passing) or (isinstance(header, Tcp) and header.flags & RST):
            return False
        key = (type(header).__name__, passing.flow.port, passing.flow.address)
        state = passing.memory.setdefault(key, {"seen": 0, "since": passing.when, "cut": False})
        if "any" in self.match or content(passing.packet) in self.match:
            if "chosen" not in state:
                state["chosen"] = passing.net.random.random() < self.share
            state["seen"] += 1
            # Packets may overtake each other: a box without a delay has none for those that come "too early" either.
            late = not self.seconds or passing.when - state["since"] >= self.seconds
            state["cut"] = state["chosen"] and state["seen"] > self.after and late
        if not state["cut"] or self.down:
            return False
        if self.loses < 1:
            return passing.net.random.random() < self.loses
        if self.refuses:
            passing.net.error(passing.flow, passing.packet, passing.hop, 3 if passing.packet.version == 4 else 1, 13)
        if self.reset and isinstance(header, Tcp):
            back = Tcp(header.destination_port, header.source_port, header.acknowledgement,
                       header.sequence + len(passing.packet.payload), RST | 16, 0)  # fmt: skip
            passing.answer(64, back)
        return True

    def holds_back(self, passing: Passing) -> bool:
        """Whether a packet on its way back is dropped."""
        header = passing.packet.header
        if not self.down or not isinstance(header, Udp | Tcp):
            return False
        state = passing.memory.get((type(header).__name__, passing.flow.port, passing.flow.address))
        return bool(state and state["cut"])


@dataclass(frozen=True, kw_only=True)
class Alg:
    """Rewrites the private address in SIP on port 5060; ``silent``: and answers nothing of it."""

    at: int
    only: str = ""
    port: int = 5060
    new: bytes = b"198.51.100.77"

    def act(self, passing: Passing) -> bool:
        """Rewrites in place: the packet that goes on is another one."""
        packet = passing.packet
        header = packet.header
        if not isinstance(header, Udp) or header.destination_port != self.port or not sip.is_sip(packet.payload):
            return False
        payload = packet.payload.replace(b"192.168.1.100", self.new).replace(b"fd00::100", b"2001:db8:77::7")
        changed = msgspec.structs.replace(
            packet, payload=payload, header=Udp(header.source_port, header.destination_port, 8 + len(payload))
        )
        self._onward(passing, changed)
        return True

    def _onward(self, passing: Passing, packet: Packet) -> None:
        """To the router where it dies, or to the far end."""
        net, flow = passing.net, passing.flow
        left = net.distance(flow) - passing.hop + 1
        when = passing.when + min(packet.ttl, left) * net.network.delay
        if packet.ttl < left:
            kind = 11 if packet.version == 4 else 3
            net.at(when, lambda: net.error(flow, packet, passing.hop + packet.ttl - 1, kind))
        elif (host := net.network.hosts.get(flow.address)) is not None:
            arrived = msgspec.structs.replace(packet, ttl=packet.ttl + passing.hop - 1)
            net.at(when, lambda: host.receive(net, flow, arrived, net.memory_of(flow.address)))

    def holds_back(self, passing: Passing) -> bool:  # noqa: ARG002
        """Nothing."""
        return False
