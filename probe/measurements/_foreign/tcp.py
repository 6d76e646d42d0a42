"""Reset connections in captures of others (Weaver, Sommer and Paxson, NDSS 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from probe.measurements._foreign.packets import NEED, Taken, around, claim, doubt, from_home, home_end, nearer, quotes
from probe.measurements._judge import hop, hops_away
from probe.measurements._proof import MARGIN
from probe.model.finding import Judgement, Location, Tally, Target
from probe.model.packet import Flags, Tcp
from probe.wire import http, tls

_KIND = "tcp_reset"
Key = tuple[str, int, str, int]
"""Client and port, server and port."""


class Connection(msgspec.Struct):
    """A connection whose SYN was captured. ``request``: the client's first payload; ``resets``: of the server's side,
    after that; ``rest``: the server's other packets."""

    server: str
    port: int
    client_port: int
    request: Taken | None = None
    opening: Taken | None = None
    resets: list[Taken] = []
    rest: list[Taken] = []

    @property
    def name(self) -> str:
        """Host that the request names, in HTTP or TLS."""
        payload = self.request.packet.payload if self.request else b""
        return (http.host(payload) or tls.server_name(payload) or "").lower()

    @property
    def data(self) -> list[Taken]:
        """The server's packets with payload."""
        return [one for one in self.rest if one.packet.payload]

    @property
    def reset(self) -> bool:
        """Whether it was reset before the server had said anything."""
        return bool(self.resets) and not any(one.at < self.resets[0].at for one in self.data)

    @property
    def worked(self) -> bool:
        """Whether the server answered and nobody reset it."""
        return bool(self.data) and not self.resets

    @property
    def genuine(self) -> list[int]:
        """TTLs on arrival of what the server said before it could know the request."""
        return [self.opening.packet.ttl] if self.opening else []


def connections(taken: Sequence[Taken]) -> list[Connection]:
    """All connections that open in the capture and carry a request with a name, in order of time."""
    found: dict[Key, Connection] = {}
    all_of_them: list[Connection] = []
    for one in taken:
        packet, header = one.packet, one.packet.header
        if not isinstance(header, Tcp):
            continue
        out = (packet.source, header.source_port, packet.destination, header.destination_port)
        back = (packet.destination, header.destination_port, packet.source, header.source_port)
        if header.flags & Flags.SYN and not header.flags & Flags.ACK:
            known = found.get(out)
            if known is None or known.request is not None:  # not a repeated SYN, but a port used again
                found[out] = Connection(packet.destination, out[3], out[1])
                all_of_them.append(found[out])
        elif out in found:
            if packet.payload and found[out].request is None:
                found[out].request = one
        elif back in found:
            _hear(found[back], one, header)
    return [c for c in all_of_them if c.request is not None and c.name]


def _hear(connection: Connection, one: Taken, header: Tcp) -> None:
    if header.flags & Flags.SYN:
        connection.opening = connection.opening or one
    elif header.flags & Flags.RST:
        if connection.request is not None:
            connection.resets.append(one)
    else:
        connection.rest.append(one)


def judge(taken: Sequence[Taken]) -> list[Judgement]:
    """One judgement for each server and name whose connections were reset before an answer."""
    known = connections(taken)
    dead = _died(taken)
    found = []
    for server, port, name in dict.fromkeys((c.server, c.port, c.name) for c in known if c.reset):
        mine = [c for c in known if (c.server, c.port, c.name) == (server, port, name)]
        others = [c for c in known if c.server == server and c.name != name]
        found.append(_judge(mine, others, dead))
    return found


def _judge(mine: list[Connection], others: list[Connection], dead: dict[tuple[int, int], str]) -> Judgement:
    target = Target(mine[0].name, mine[0].name, mine[0].server, mine[0].port)
    hits = [c for c in mine if c.reset]
    plain = [c for c in others if c.worked]
    trials, controls = Tally(len(mine), len(hits)), Tally(len(others), len(plain))
    said = [t.packet.ttl for c in hits for t in c.resets]
    genuine = [t for c in (*hits, *plain) for t in c.genuine]
    reasons = [f"Of {len(mine)} connections that name {target.name}, {len(hits)} were reset before an answer."]
    if after := sum(any(one.at > c.resets[0].at for one in c.data) for c in hits):
        reasons.append(f"In {after} of them the server's answer still arrived behind the reset.")
    details: dict[str, object] = {"ttls_reset": sorted(set(said)), "ttls_opening": sorted(set(genuine))}
    below = [c for c in hits if _key(c) in dead]
    rule, reason = "", ""
    if len(hits) < NEED:
        rule, reason = "too-few", f"That is fewer than {NEED}."
    elif any(c.reset for c in others):
        rule, reason = "control-alike", "Connections that name others were reset as well: the server may do it."
    elif not around((c.request.at for c in plain if c.request), [c.request.at for c in hits if c.request]):
        rule, reason = "no-control", (
            "The capture holds no connection to that server that names another and was answered, before and after: a "
            "server that resets what it does not serve looks the same."
        )
    elif len(below) < NEED and not nearer(said, genuine):
        rule, reason = "same-distance", (
            "The resets do not come from clearly nearer than the server's own packets: it, or a machine of its "
            "network, may have sent them."
        )
    elif len(below) < NEED and from_home(said):
        rule, reason = "from-home", "The resets come from so near that the home may have sent them."
    if rule:
        return doubt(_KIND, rule, target, trials, controls, [*reasons, reason], details)
    if len(below) >= NEED:
        return _below(below, mine, plain, dead, target, trials, controls, reasons, details)
    reasons.append(
        f"The resets arrived with TTL {_list(said)}, the server's own packets with {_list(genuine)}: they come from a "
        "machine that is nearer."
    )
    return claim(_KIND, "reset-from-nearer", target, "tcp_reset", trials, controls, reasons, details=details)


def _below(
    below: list[Connection], mine: list[Connection], plain: list[Connection], dead: dict[tuple[int, int], str],
    target: Target, trials: Tally, controls: Tally, reasons: list[str], details: dict[str, object],
) -> Judgement:  # fmt: skip
    """Requests that died on a router, and were reset all the same."""
    routers = {_ttl(c): dead[_key(c)] for c in mine if _key(c) in dead}
    first = min(_ttl(c) for c in below)
    reasons.append(f"{len(below)} of the requests died on a router, which says so: the server never saw them.")
    reach = min((hops_away(t) + 1 for c in (*below, *plain) for t in c.genuine), default=0)
    if first <= home_end(routers) or first + MARGIN > reach:
        reasons.append("But so near to the home, or to the server, that these may have reset them.")
        return doubt(_KIND, "near-an-end", target, trials, controls, reasons, details)
    clean = max((_ttl(c) for c in mine if _ttl(c) < first), default=0)
    place = Location(clean, first, hop(routers.get(clean)), hop(routers.get(first)))
    return claim(_KIND, "reset-below-server", target, "tcp_reset", trials, controls, reasons, place, details)


def _died(taken: Sequence[Taken]) -> dict[tuple[int, int], str]:
    """(client's port, sequence number) of segments that died on the way → the router that says so."""
    found = {}
    for one, quoted in quotes(taken):
        if isinstance(quoted.header, Tcp):
            found[quoted.header.source_port, quoted.header.sequence] = one.packet.source
    return found


def _key(connection: Connection) -> tuple[int, int]:
    packet = connection.request.packet if connection.request else None
    header = packet.header if packet else None
    return connection.client_port, header.sequence if isinstance(header, Tcp) else -1


def _ttl(connection: Connection) -> int:
    return connection.request.packet.ttl if connection.request else 0


def _list(ttls: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(set(ttls))))
