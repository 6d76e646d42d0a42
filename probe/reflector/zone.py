"""The reflector's DNS zone: who asks (whoami), names that exist and names that don't.

| name below the zone | answer |
|---|---|
| ``<token>.whoami`` | TXT: the network that asks (A, AAAA: its first address); ``self`` for the home |
| ``present``, ``*.present`` | A, AAAA: the reflector's own addresses; TXT: ``present`` |
| the zone itself | SOA, NS, A, AAAA |
| all else, ``*.absent`` among it | NXDOMAIN |
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import msgspec

from probe.model.errors import MalformedPacket
from probe.model.reflector import MEMORY, Resolver
from probe.reflector.settings import Settings
from probe.wire import dns, reflector
from probe.wire.dns_name import name_bytes

Transport = Literal["udp", "tcp", "tls"]
_MOST = 20_000
_MOST_EACH = 16
_SOA_NUMBERS = b"".join(n.to_bytes(4, "big") for n in (1, 3600, 600, 86400, 60))


class Zone:
    """Answers questions, and remembers who asked for which token."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = settings.zone.rstrip(".").lower()
        self._askers: OrderedDict[bytes, tuple[float, dict[tuple[str, str, int, Transport], int]]] = OrderedDict()

    def covers(self, name: str) -> bool:
        """Whether a name lies in the zone."""
        lower = name.lower()
        return bool(self._name) and (lower == self._name or lower.endswith("." + self._name))

    def token(self, query: dns.Message) -> bytes | None:
        """The token in the name that is asked for, None without one."""
        labels = query.questions[0].name.split(".") if query.questions else []
        return reflector.token_of_label(labels[0]) if len(labels) > 2 else None

    def answer(self, query: dns.Message, source: str, transport: Transport, now: float) -> dns.Message:
        """The whole answer to one question; REFUSED outside the zone."""
        question = query.questions[0]
        if not self.covers(question.name) or question.qclass != dns.IN or query.opcode:
            return dns.answer(query, rcode=dns.REFUSED, recursion_available=False)
        texts = self._texts(query, source, transport, now)
        if texts is None:
            return self._nothing(query, dns.NXDOMAIN)
        kind = question.qtype
        # As it was asked, letter case and all: resolvers that mix the case compare it (draft-vixie-dnsext-dns0x20).
        records = [
            dns.Record(question.name, kind, dns.IN, 0, self._soa(), text) if kind == dns.SOA
            else dns.record(question.name, kind, text, ttl=0)
            for text in texts.get(kind, ())
        ]  # fmt: skip
        if not records:
            return self._nothing(query, dns.NOERROR)
        return dns.answer(query, records, authoritative=True, recursion_available=False)

    def _texts(self, query: dns.Message, source: str, transport: Transport, now: float) -> dict[int, list[str]] | None:
        """What the name has, by type; None where there is no such name."""
        question = query.questions[0]
        labels = question.name.lower().removesuffix(self._name).rstrip(".").split(".")
        token = self.token(query)
        if labels[-1] == reflector.WHOAMI and token is not None and len(labels) == 2:
            asker = self._asker(source, token, now)
            self._remember(token, asker, question.qtype, transport, now)
            return self._whoami(asker)
        own = {kind: [one for one in self._settings.addresses if (":" in one) == six]
               for kind, six in ((dns.A, False), (dns.AAAA, True))}  # fmt: skip
        if labels == [""]:
            return {dns.SOA: ["soa"], dns.NS: [self._settings.name or self._name], **own}
        if labels[-1] == reflector.PRESENT:
            return {dns.TXT: [reflector.PRESENT], **own}
        return None

    def _nothing(self, query: dns.Message, rcode: int) -> dns.Message:
        soa = dns.Record(self._name, dns.SOA, dns.IN, 0, self._soa())
        return dns.answer(query, rcode=rcode, authoritative=True, recursion_available=False, authority=[soa])

    def _soa(self) -> bytes:
        return name_bytes(self._settings.name or self._name) + name_bytes(f"hostmaster.{self._name}") + _SOA_NUMBERS

    def _asker(self, source: str, token: bytes, now: float) -> Resolver:
        """Who asks. Never the home's address: a resolver at home asks from there, and that is all that is said."""
        if reflector.valid(self._settings.secret, token, reflector.source_key(source), now):
            return Resolver(network="self", same="")
        address = ipaddress.ip_address(source)
        network = ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False)
        same = hmac.digest(self._settings.secret, b"resolver" + address.packed, hashlib.sha256)[:4].hex()
        return Resolver(network=str(network), same=same)

    def _whoami(self, asker: Resolver) -> dict[int, list[str]]:
        texts = {dns.TXT: [reflector.whoami_text(asker)]}
        if asker.network == "self":
            return texts | {dns.A: ["0.0.0.0"], dns.AAAA: ["::"]}
        first = asker.network.partition("/")[0]
        return texts | {dns.AAAA if ":" in first else dns.A: [first]}

    def _remember(self, token: bytes, asker: Resolver, qtype: int, transport: Transport, now: float) -> None:
        at, known = self._askers.pop(token, (now, {}))
        key = (asker.network, asker.same, qtype, transport)
        if key in known or len(known) < _MOST_EACH:
            known[key] = known.get(key, 0) + 1
        self._askers[token] = (at, known)
        while len(self._askers) > _MOST or now - next(iter(self._askers.values()))[0] > MEMORY:
            self._askers.popitem(last=False)

    def asked(self, labels: Sequence[str], source: bytes, now: float) -> tuple[Resolver, ...]:
        """Who asked for names with these first labels; only those that hold a token of that very source."""
        found: list[Resolver] = []
        for label in labels[:64]:
            token = reflector.token_of_label(label)
            if token is None or not reflector.valid(self._settings.secret, token, source, now):
                continue
            _, known = self._askers.get(token, (0.0, {}))
            for (network, same, qtype, transport), count in known.items():
                found.append(Resolver(label=label, network=network, same=same, qtype=qtype, transport=transport,
                                      count=count))  # fmt: skip
        return tuple(found)


def question(data: bytes) -> dns.Message | None:
    """A query with one question, None for anything else."""
    # Cheap first: most of what is no query is told by its flags and counts.
    if not 17 <= len(data) <= 1500 or data[2] & 0x80 or data[4:6] != b"\0\1" or data[6:10] != bytes(4):
        return None
    try:
        message = dns.decode(data)
    except MalformedPacket:
        return None
    return message


def within(message: dns.Message, size: int) -> bytes | None:
    """Bytes of an answer that fits ``size``, else of one that says it does not (TC; RFC 2181, 9), else None."""
    try:
        whole = dns.encode(message)
        if len(whole) <= size:
            return whole
        cut = dns.encode(msgspec.structs.replace(message, truncated=True, answers=(), authority=()))
    except MalformedPacket:
        return None
    return cut if len(cut) <= size else None
