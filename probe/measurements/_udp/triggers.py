"""Datagrams that may be filtered (QUIC with a server name, SIP, STUN), their harmless twins, and what one did."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from probe.measurements._locate import Shot, expired_at
from probe.model.exchange import Exchange
from probe.model.packet import Icmp
from probe.wire import quic, reflector, sip, stun

Kind = Literal["quic", "sip", "stun"]
PORTS: dict[Kind, int] = {"quic": 443, "sip": 5060, "stun": 3478}
_TOO_BIG = 4  # "fragmentation needed" rejects nobody (RFC 1191)
_SOFTPHONE = sip.Client("192.168.178.23")
"""As a softphone in a home writes itself: a usual private address, never the volunteer's."""


class Trigger(msgspec.Struct, frozen=True):
    """What may be filtered: ``host`` as the server name in a QUIC Initial, or SIP or STUN themselves, towards ``host``.

    The twin of a QUIC Initial names another host. SIP and STUN have no harmless words: every bit of their twins is
    flipped, so that size and timing are the same and no filter knows them. Only a reflector answers such a twin.
    """

    kind: Kind
    host: str
    port: int

    def payload(self, random: Random, token: bytes = b"") -> bytes:
        """A datagram that no other equals. ``token``: a reflector's, which answers nobody else."""
        return self._write(random, token, self.host)

    def twin(self, random: Random, token: bytes, name: str) -> bytes:
        """The harmless twin, of the same size; ``name`` stands in the place of the host."""
        if self.kind == "quic":
            return self._write(random, token, name)
        return reflector.twin(self._write(random, token, self.host))

    def _write(self, random: Random, token: bytes, host: str) -> bytes:
        own = random.randbytes(reflector.TOKEN)
        if token:
            own = reflector.with_nonce(token, random.randrange(1 << 16))
        if self.kind == "quic":
            return quic.client_initial(
                host, reflector.connection_id(own, random.randbytes(8)), random.randbytes(8), random.randbytes(32)
            )
        if self.kind == "sip":
            return sip.request("OPTIONS", host, reflector.call_id(own), _SOFTPHONE)
        return stun.binding_request(own)


class Reaction(msgspec.Struct, frozen=True):
    """What came of one datagram: an answer of the far end, after so many seconds and with that IP TTL; who rejected it
    (ICMP unreachable); the router whose time exceeded quotes it."""

    sent: bool
    after: float | None = None
    ttl: int | None = None
    rejected: str | None = None
    expired_at: str | None = None

    @property
    def answered(self) -> bool:
        """The far end, or somebody in its name, sent a datagram back."""
        return self.after is not None

    @property
    def elicited(self) -> bool:
        """Somebody spoke up because of what the datagram holds (a router that throws it away for its TTL does not)."""
        return self.answered or self.rejected is not None

    def show(self) -> dict[str, object]:
        """For a finding's details."""
        return {
            "answered_ms": None if self.after is None else round(self.after * 1000, 3),
            "ttl": self.ttl,
            "rejected": self.rejected is not None,
        }


def react(exchange: Exchange) -> Reaction:
    """Read the exchange of one datagram."""
    if exchange.sent_at is None:
        return Reaction(sent=False)
    first = next(iter(exchange.answers), None)
    return Reaction(
        sent=True,
        after=None if first is None else first.at - exchange.sent_at,
        ttl=None if first is None else first.packet.ttl,
        rejected=_rejected(exchange),
        expired_at=expired_at(exchange),
    )


def _rejected(exchange: Exchange) -> str | None:
    """Who sent an ICMP unreachable (RFC 792 type 3, RFC 4443 type 1) about the datagram."""
    for heard in exchange.errors:
        header, six = heard.packet.header, heard.packet.version == 6
        if isinstance(header, Icmp) and header.type == (1 if six else 3) and (six or header.code != _TOO_BIG):
            return heard.packet.source
    return None


def shot(ttl: int, reaction: Reaction, router: str | None) -> Shot:
    """A datagram at ``ttl``, as `_locate` reads it; ``router``: who reported a harmless one of its flow and TTL."""
    return Shot(
        ttl=ttl,
        elicited=reaction.elicited,
        reply_ttl=reaction.ttl,
        expired_at=reaction.expired_at,
        routers={} if router is None else {ttl: router},
    )
