"""DNS queries as steps, and what came back, for the measurements that ask names."""

from __future__ import annotations

from random import Random

import msgspec

from probe.measurements._locate import Shot, expired_at
from probe.model.errors import MalformedPacket
from probe.model.exchange import FULL_TTL, Exchange, UdpStep
from probe.wire import dns

IDENTIFIER = (0, 2)  # the bytes that an answer repeats (RFC 1035, section 4.1.1)


class Reply(msgspec.Struct, frozen=True):
    """One DNS answer as it arrived: seconds after the query, IP TTL and identification, and what it says."""

    after: float
    ttl: int
    ident: int | None
    rcode: int
    truncated: bool
    says: frozenset[str]

    @property
    def content(self) -> tuple[int, frozenset[str]]:
        """What two answers must share to be the same answer: order and time to live of the records do not count."""
        return self.rcode, self.says

    def show(self) -> dict[str, object]:
        """For a finding's details."""
        return {
            "after_ms": round(self.after * 1000, 3),
            "ttl": self.ttl,
            "ip_id": self.ident,
            "rcode": self.rcode,
            "truncated": self.truncated,
            "answers": sorted(self.says),
        }


class Asker:
    """Makes queries with identifiers of their own."""

    def __init__(self, random: Random, port: int, qtype: int = dns.A) -> None:
        self._random, self._port, self._qtype = random, port, qtype
        self._used: set[int] = set()

    def ask(
        self, name: str, server: str, *, flow: str, ttl: int = FULL_TTL, wait: float = 2.0, linger: float = 0.0
    ) -> UdpStep:
        """One query. ``flow``: queries of one flow share a source port."""
        ident = self._random.randrange(1, 65536)
        while ident in self._used:
            ident = self._random.randrange(1, 65536)
        self._used.add(ident)
        return UdpStep(
            address=server,
            port=self._port,
            payload=dns.query(name, ident, self._qtype),
            ttl=ttl,
            flow=flow,
            match=IDENTIFIER,
            wait=wait,
            linger=linger,
        )


def replies(exchange: Exchange) -> list[Reply]:
    """The DNS answers of an exchange, in order; datagrams that are none are left out."""
    found: list[Reply] = []
    for heard in exchange.answers:
        try:
            message = dns.decode(heard.packet.payload)
        except MalformedPacket:
            continue
        if not message.response:
            continue
        says = frozenset(f"{record.type} {record.text}" for record in message.answers)
        found.append(
            Reply(
                heard.at - (exchange.sent_at or 0.0),
                heard.packet.ttl,
                heard.packet.ident,
                message.rcode,
                message.truncated,
                says,
            )
        )
    return found


def distinct(answers: list[Reply]) -> list[Reply]:
    """The first of each different answer: a network may duplicate a packet, which proves nothing."""
    seen: dict[tuple[int, frozenset[str]], Reply] = {}
    for reply in answers:
        seen.setdefault(reply.content, reply)
    return list(seen.values())


def shot(ttl: int, trigger: Exchange, control: Exchange | None) -> Shot:
    """A trigger query at ``ttl``, with the router that its harmless twin showed there."""
    got = replies(trigger)
    routers: dict[int, str] = {}
    if control is not None and (address := expired_at(control)) is not None:
        routers[ttl] = address
    return Shot(ttl, bool(got), got[0].ttl if got else None, expired_at(trigger), routers)
