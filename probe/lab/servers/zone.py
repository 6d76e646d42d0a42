"""What a resolver of the lab answers: the world's names by heart, or what it was told to say instead."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from probe.lab.kinds import Resolver
from probe.wire import dns

_RCODES = {"nxdomain": dns.NXDOMAIN, "refused": dns.REFUSED, "servfail": dns.SERVFAIL, "empty": dns.NOERROR}
_SERVER_NAMES = ("id.server", "hostname.bind")  # RFC 4892
_NSID = 3  # RFC 5001


class Zone:
    """Answers by name. ``names``: name → addresses; a ``www.`` in front changes nothing. ``changed`` alters it.

    ``identity``: what the server is called, where nothing changes that.
    """

    def __init__(
        self, names: Mapping[str, tuple[str, ...]], changed: Iterable[Resolver] = (), identity: str = "lab"
    ) -> None:
        self._names = names
        self._changed = tuple(changed)
        self._identity = next((change.identity for change in self._changed if change.identity), identity)
        self._asked = 0

    @property
    def delay(self) -> float:
        """Seconds to wait before an answer."""
        return max((change.delay for change in self._changed), default=0.0)

    @property
    def encrypted(self) -> bool:
        """Whether DNS over TLS and HTTPS are spoken."""
        return all(change.encrypted for change in self._changed)

    def lies_about(self, name: str) -> bool:
        """Whether the answer for a name is not what it should be: then nobody else need be asked."""
        return any(_holds(change.names, name.lower()) for change in self._changed)

    def answer(self, query: dns.Message, *, stream: bool, client: str = "") -> dns.Message:
        """The response to a query from an address; truncation spares TCP (``stream``)."""
        found = self._found(query, stream, client)
        if _asks_nsid(query):
            option = _NSID.to_bytes(2, "big") + len(self._identity).to_bytes(2, "big") + self._identity.encode()
            edns = dns.Record(".", dns.OPT, dns.EDNS_SIZE, 0, option)
            found = msgspec.structs.replace(found, additional=(edns,))
        return found

    def _found(self, query: dns.Message, stream: bool, client: str) -> dns.Message:
        if len(query.questions) != 1:
            return dns.answer(query, rcode=dns.FORMERR)
        question = query.questions[0]
        name = question.name.lower()
        if any(change.serves and not _among(client, change.serves) for change in self._changed):
            return dns.answer(query, rcode=dns.REFUSED, recursion_available=False)
        if question.qclass == dns.CH:
            return self._chaos(query, name)
        for change in self._changed:
            if _holds(change.names, name):
                return self._lie(query, change)
        addresses = self._names.get(name.removeprefix("www."))
        if addresses is None:
            return self._unknown(query)
        if not stream and any(change.truncate for change in self._changed):
            return dns.answer(query, truncated=True)
        return _records(query, self._rotated(addresses))

    def _chaos(self, query: dns.Message, name: str) -> dns.Message:
        if name not in _SERVER_NAMES or query.questions[0].qtype != dns.TXT:
            return dns.answer(query, rcode=dns.REFUSED)
        data = bytes((len(self._identity),)) + self._identity.encode()
        return dns.answer(query, (dns.Record(name, dns.TXT, dns.CH, 0, data, self._identity),))

    def _unknown(self, query: dns.Message) -> dns.Message:
        instead = next((change.unknown for change in self._changed if change.unknown), "")
        return _records(query, (instead,)) if instead else dns.answer(query, rcode=dns.NXDOMAIN)

    def _rotated(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        turns = [change.rotate for change in self._changed if change.rotate]
        if not turns:
            return addresses
        self._asked += 1
        return (turns[0][self._asked % len(turns[0])],)

    @staticmethod
    def _lie(query: dns.Message, change: Resolver) -> dns.Message:
        if change.answer in _RCODES:
            return dns.answer(query, rcode=_RCODES[change.answer])
        return _records(query, tuple(filter(None, (change.answer, change.answer6))))


def _holds(words: tuple[str, ...], name: str) -> bool:
    return any(word == "*" or name == word or name.endswith("." + word) for word in words)


def _among(client: str, prefixes: tuple[str, ...]) -> bool:
    return bool(client) and any(ipaddress.ip_address(client) in ipaddress.ip_network(prefix) for prefix in prefixes)


def _asks_nsid(query: dns.Message) -> bool:
    options = next((extra.data for extra in query.additional if extra.type == dns.OPT), b"")
    while len(options) >= 4:
        if int.from_bytes(options[:2], "big") == _NSID:
            return True
        options = options[4 + int.from_bytes(options[2:4], "big") :]
    return False


def _records(query: dns.Message, addresses: tuple[str, ...]) -> dns.Message:
    question = query.questions[0]
    fitting = [a for a in addresses if question.qtype == (dns.AAAA if ":" in a else dns.A)]
    return dns.answer(query, [dns.record(question.name, question.qtype, address) for address in fitting])
