"""Whether somebody rewrites calls on their way (a SIP "application-level gateway"), and whether that is the home.

The far end sends back what arrived; routers quote what reached them (Tracebox). A gateway in the home router has
rewritten an INVITE before the operator's first router sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.measurements import Part
from probe.measurements._judge import is_home
from probe.measurements._locate import AGREE, Place, expired
from probe.measurements._proof import MARGIN, home_depth
from probe.measurements._voip.call import Call, Caller, Said, belongs
from probe.model.exchange import Exchange, Step, UdpStep
from probe.model.packet import Packet, Udp
from probe.model.reflector import Received

_ROUNDS = 5


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """What is rewritten and where. ``same`` and ``changed``: quotes of routers outside the home that show an INVITE as
    it was sent, and otherwise. ``home``: it is, or may be, the home's router."""

    lines: tuple[str, ...]
    place: Place | None = None
    home: bool = True
    ahead: bool = False
    same: int = 0
    changed: int = 0

    @property
    def guilty(self) -> bool:
        """Whether it is neither the home nor the far end's own site."""
        return self.place is not None and self.ahead and not self.home and min(self.same, self.changed) >= AGREE


def altered(sent: bytes, received: Received) -> tuple[str, ...]:
    """Names of the lines that arrived otherwise than they were sent: headers, ``SDP c`` …; empty if none did."""
    arrived = received.data
    if received.size == len(sent) and sent.startswith(arrived):
        return ()
    before, after = _lines(sent), _lines(arrived)
    whole = received.size <= len(arrived)
    names = [name for name, value in before.items() if name in after and after[name] != value]
    names += [name for name in before if name not in after and whole]
    names += [f"{name} (added)" for name in after if name not in before]
    return tuple(names) or ("length",)


def _lines(message: bytes) -> dict[str, bytes]:
    """Name → line. The lines of a session (SDP) have one letter and ``=``."""
    head, _, body = message.partition(b"\r\n\r\n")
    found: dict[str, bytes] = {}
    for number, line in enumerate(head.split(b"\r\n")):
        name = b"request line" if not number else line.partition(b":")[0]
        found.setdefault(name.decode("ascii", "replace"), line)
    for line in body.split(b"\r\n"):
        if line[1:2] == b"=":
            found.setdefault(f"SDP {line[:1].decode('ascii', 'replace')}", line)
    return found


def rewritten(said: Sequence[Said]) -> list[tuple[str, ...]]:
    """For each real request whose copy came back: the lines that were altered on the way."""
    return [altered(one.payload, one.received) for one in said if one.received is not None]


def place_gateway(caller: Caller, port: int, lines: tuple[str, ...], wait: float, top: int) -> Part[Gateway]:
    """INVITEs at every TTL, each on a flow of its own, until enough routers have quoted them."""
    shots: list[tuple[int, bool, str]] = []  # (TTL, changed?, router)
    arrives: int | None = None
    routers: dict[int, str] = {}
    for number in range(_ROUNDS):
        end = arrives or top + 1
        batch: list[Step] = []
        for ttl in range(1, end):
            call = Call("sip", port, True, False, 1000 + 100 * number + ttl)
            payload = caller.request(call, "INVITE")
            flow = f"gateway{number}.{ttl}"
            batch.append(UdpStep(address=caller.address, port=port, payload=payload, ttl=ttl, flow=flow, wait=wait))
        for exchange in (yield batch):
            asked = exchange.step
            assert isinstance(asked, UdpStep)  # noqa: S101 - only such were asked for
            if any(belongs(asked.payload, h.packet.payload) for h in exchange.answers):
                arrives = min(asked.ttl, arrives or asked.ttl)
            shots += _quotes(asked, exchange, routers)
        found = _gateway(lines, shots, routers, arrives)
        if found.guilty or (number and not shots):
            break
    return _gateway(lines, shots, routers, arrives)


def _quotes(asked: UdpStep, exchange: Exchange, routers: dict[int, str]) -> list[tuple[int, bool, str]]:
    found = []
    for router, quoted in expired(exchange):
        routers.setdefault(asked.ttl, router)
        changed = changes(asked.payload, quoted)
        if changed is not None:
            found.append((asked.ttl, changed, router))
    return found


def changes(sent: bytes, quoted: Packet) -> bool | None:
    """Whether a router quotes a datagram otherwise than it was sent: by its length, or by what is quoted of it. None
    where it quotes too little to tell (RFC 792 asks for 8 bytes only: the UDP header)."""
    if isinstance(quoted.header, Udp) and quoted.header.length != 8 + len(sent):
        return True
    if quoted.payload[: len(sent)] != sent[: len(quoted.payload)]:
        return True
    # Via and Contact, which gateways rewrite, stand in the first few hundred bytes.
    return False if len(quoted.payload) >= min(len(sent), 400) else None


def _gateway(
    lines: tuple[str, ...], shots: list[tuple[int, bool, str]], routers: dict[int, str], arrives: int | None
) -> Gateway:
    depth = home_depth(routers)
    outside = [(ttl, changed) for ttl, changed, router in shots if ttl > depth and not is_home(router)]
    first = min((ttl for ttl, changed in outside if changed), default=None)
    same = [ttl for ttl, changed in outside if not changed]
    if first is None:
        return Gateway(lines=lines, same=len(same))
    clean = max((ttl for ttl in same if ttl < first), default=depth)
    steady = not any(ttl >= first for ttl in same)
    spot = Place(
        clean_ttl=clean, first_ttl=first, clean_hop=routers.get(clean), first_hop=routers.get(first),
        placement="in_path", agreeing=sum(changed for _, changed in outside), sweeps=len(outside),
    )  # fmt: skip
    return Gateway(
        lines=lines, place=spot, home=clean <= depth, same=len(same),
        ahead=steady and arrives is not None and first + MARGIN <= arrives,
        changed=sum(changed for _, changed in outside),
    )  # fmt: skip
