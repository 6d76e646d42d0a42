"""What `dns_resolver` asks: resolvers, servers that they name, the far end, and the path to whoever answers."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable

from probe.measurements import Context, Part, _far
from probe.measurements._dns.queries import IDENTIFIER, Asker
from probe.measurements._resolver.seen import (
    Answer,
    Seen,
    What,
    Who,
    askable,
    first_name,
    from_message,
    read,
    tried,
)
from probe.measurements._resolver.turned import turned
from probe.measurements._resolver.where import AGAIN, FIRST_ANSWER, LOOKS, sweep
from probe.measurements._tcp.triggers import react
from probe.model.errors import MalformedPacket
from probe.model.exchange import Exchange, Step, TcpStep, TlsStep, UdpStep
from probe.model.reflector import Asked, Askers
from probe.wire import dns, http, reflector

_MOST_SERVERS = 2  # of each resolver's addresses that are looked at
_MEANT = 3  # questions of each resolver's that our name server must see for a verdict
_LABELS = 2  # that one question to the far end asks about: many may have asked, and the answer must fit a datagram
_HTTPS, _DOT = 443, 853
_MESSAGE = "application/dns-message"  # RFC 8484, section 6


def _encrypted(exchange: Exchange, read_answer: Callable[[bytes], Answer | None]) -> str:
    """What became of a question inside TLS, in a word or the library's own."""
    session = exchange.session
    if session is None or not session.version:
        return (session.alert if session is not None else "") or exchange.failure or "no session"
    return "answers" if read_answer(session.data) is not None else "a session, but no answer"


def _zones_of(exchange: Exchange, name: str) -> list[tuple[str, str]]:
    """(owner, first server) of the SOA records of an answer, of zones that can hold the name."""
    found = []
    for heard in exchange.answers:
        try:
            message = dns.decode(heard.packet.payload)
        except MalformedPacket:
            continue
        for record in (*message.answers, *message.authority):
            owner = record.name.lower()
            if record.type == dns.SOA and (owner == "." or f".{name}".endswith(f".{owner}")):
                found.append((owner, first_name(record.data)))
    return found


class Asking:
    """The parts of one run, for ``yield from``; what they hear goes into ``seen``."""

    def __init__(self, seen: Seen, context: Context, port: int, trials: int, reflector: str) -> None:
        self._seen, self._context, self._port, self._trials = seen, context, port, trials
        self._reflector = reflector
        own = seen.resolver if seen.resolver != seen.control else ""
        self._addresses: dict[Who, str] = {"resolver": own, "control": seen.control, "silent": seen.silent}
        self._qtype = dns.AAAA if ":" in (own or seen.control) else dns.A
        self._asker = Asker(context.random, port, self._qtype)
        self._round = 0
        self._far: _far.Far | None = None
        self._labels: dict[str, Who] = {}  # of the names that tell who asked for them …
        self._askers: dict[str, set[str]] = defaultdict(set)  # … and the networks of those who did
        seen.resolver = own

    @property
    def resolvers(self) -> list[Who]:
        """Those that are asked and must answer."""
        whos: tuple[Who, ...] = ("resolver", "control")
        return [who for who in whos if self._addresses[who]]

    def hello(self) -> Part[None]:
        """A token of the far end, if there is one; it may know a silent address."""
        if not self._reflector:
            return
        self._far = yield from _far.hello(self._reflector, self._context)
        if self._far is None or self._seen.silent:
            return
        six = ":" in (self._seen.resolver or self._seen.control)
        found = next((one for one in self._far.grant.silent if (":" in one) == six), "")
        self._seen.silent = self._addresses["silent"] = found

    def _random_name(self, below: str) -> str:
        return f"{self._context.random.randbytes(6).hex()}.{below}"

    def _ask(self, name: str, who: Who, flow: str, wait: float = FIRST_ANSWER) -> UdpStep:
        return self._asker.ask(name, self._addresses[who], flow=flow, wait=wait)

    @property
    def _zone(self) -> str:
        return self._far.grant.zone if self._far is not None else ""

    def _own_name(self, who: Who) -> str:
        """A name that nobody has asked for yet: our name server sees who does."""
        if self._far is None:
            return ""
        label = reflector.label(self._far.token(self._context))
        self._labels[label] = who
        return f"{label}.{reflector.WHOAMI}.{self._zone}"

    def askers(self) -> Part[None]:
        """Who asked our name server for the names that each resolver was asked for; further names where too few of them
        came through, since a bad line loses some."""
        if self._far is None or not self._labels:
            return
        yield from self._who_asked(self._far)
        for attempt in range(AGAIN):
            short = self._short_of_askers(first=attempt == 0)
            if not short:
                return
            names = [(who, self._own_name(who)) for who in short for _ in range(self._trials)]
            yield from self._note([("whoami", who, self._ask(name, who, f"w{name}")) for who, name in names])
            yield from self._who_asked(self._far)

    def _short_of_askers(self, *, first: bool) -> list[Who]:
        """Those that answer, and of whose questions too few have been seen; not for ever where none ever is."""
        told = {who: sum(map(bool, self._seen.askers[who])) for who in self._addresses}
        answering = {who for (_, who), said in self._seen.said.items() if any(said)}
        return [who for who, count in told.items() if who in answering and count < _MEANT and (count or first)]

    def _who_asked(self, far: _far.Far) -> Part[None]:
        """Asks for the labels that nobody was seen to ask for so far."""
        labels = [label for label in self._labels if not self._askers[label]]
        requests = [Asked(tuple(labels[i : i + _LABELS])) for i in range(0, len(labels), _LABELS)]
        for answer in (yield from _far.ask(far, requests, self._context)):
            for resolver in answer.resolvers if isinstance(answer, Askers) else ():
                self._askers[resolver.label.lower()].add(resolver.network)
        self._seen.askers.clear()
        for label, who in self._labels.items():
            self._seen.askers[who].append(self._askers[label])

    def controls(self, phase: What) -> Part[None]:
        """The harmless name, to both resolvers; again to one whose answers all got lost."""
        whos = self.resolvers
        for _ in range(AGAIN):
            asked = [(phase, who, self._ask(self._seen.harmless, who, f"{phase}{len(self._seen.said[phase, who])}.{i}"))
                     for who in whos for i in range(self._trials)]  # fmt: skip
            yield from self._note(asked)
            whos = [who for who in whos if not self._seen.answers(phase, who)]
            if not whos:
                return

    def trials(self) -> Part[None]:
        """The name, a random one below it, and a random one elsewhere, to both resolvers; the name and the harmless one
        to the silent address."""
        self._round += 1
        seen, asked = self._seen, list[tuple[What, Who, UdpStep]]()
        wait = min(2.0, max(0.8, 8 * seen.round_trip()))
        for i in range(self._trials):
            flow = f"trial{self._round}.{i}"
            below, absent = self._random_name(seen.name), self._random_name(seen.harmless)
            for who in self.resolvers:
                asked.append(("target", who, self._ask(seen.name, who, flow)))
                asked.append(("below", who, self._ask(below, who, flow)))
                asked.append(("absent", who, self._ask(absent, who, flow)))
            for who in self._addresses if self._zone else ():
                if self._addresses[who]:
                    asked.append(("whoami", who, self._ask(self._own_name(who), who, f"w{flow}")))
            if seen.silent:
                asked.append(("target", "silent", self._ask(seen.name, "silent", flow, wait)))
                asked.append(("harmless", "silent", self._ask(seen.harmless, "silent", f"c{flow}", wait)))
        yield from self._note(asked)

    def _note(self, asked: list[tuple[What, Who, UdpStep]]) -> Part[None]:
        exchanges = yield [step for _, _, step in asked]
        for (what, who, _), exchange in zip(asked, exchanges, strict=True):
            self._seen.said[what, who].append(read(exchange, self._qtype))

    def over_tcp(self) -> Part[None]:
        """Asks again over TCP where answers were cut short (RFC 7766)."""
        for who in self.resolvers:
            said = self._seen.said["target", who]
            if not any(answer is not None and answer.truncated for answer in said):
                continue
            exchanges = yield [self._stream_step(who) for _ in range(self._trials)]
            whole = [self._from_stream(exchange) for exchange in exchanges]
            if any(answer is not None for answer in whole):
                said[:] = whole

    def _stream_step(self, who: Who) -> TcpStep:
        query = dns.query(self._seen.name, self._context.random.randrange(1, 65536), self._qtype)
        return TcpStep(address=self._addresses[who], port=self._port, payload=dns.framed(query), wait=FIRST_ANSWER)

    def _from_stream(self, exchange: Exchange) -> Answer | None:
        reaction = react(exchange)
        return self._whole(reaction.stream(), reaction.synack_ttl or 0)

    def _whole(self, stream: bytes, ttl: int = 0) -> Answer | None:
        for message in dns.unframed(stream):
            try:
                return from_message(dns.decode(message), self._qtype, ttl)
            except MalformedPacket:
                continue
        return None

    # -- servers ------------------------------------------------------------------------------------------------

    def _look(self, address: str) -> TlsStep:
        name = self._seen.name
        return TlsStep(
            address=address, port=_HTTPS, server_name=name, alpn=("http/1.1",), payload=http.request(name), wait=2.0,
            read_limit=2048,
        )  # fmt: skip

    def _may_ask(self, addresses: frozenset[str]) -> list[str]:
        return [one for one in sorted(addresses) if askable(one, self._addresses.values())][:_MOST_SERVERS]

    def servers(self, phase: What) -> Part[None]:
        """Certificates of the trusted resolver's addresses, before or after; once more where none was shown."""
        into = self._seen.servers_before if phase == "before" else self._seen.servers_after
        for _ in range(LOOKS):
            chosen = [
                one for one in self._may_ask(self._seen.addresses("target", "control"))
                if one not in into or (into[one].failure and not any(other.right for other in into.values()))
            ]  # fmt: skip
            if not chosen:
                return
            for address, exchange in zip(chosen, (yield [self._look(one) for one in chosen]), strict=True):
                into[address] = tried(exchange)

    def odd_servers(self) -> Part[None]:
        """Certificates of addresses that the trusted resolver does not give."""
        seen = self._seen
        odd = seen.addresses("target", "resolver") - seen.addresses("target", "control")
        chosen = self._may_ask(odd)
        looks = [one for one in chosen for _ in range(self._trials)]
        for address, exchange in zip(looks, (yield [self._look(one) for one in looks]), strict=True):
            seen.odd_servers.setdefault(address, []).append(tried(exchange))

    def zones(self) -> Part[None]:
        """Which zone each resolver takes the name to be in, and whether a negative answer bears the record of the real
        zone, as a remembered one does (RFC 2308)."""
        seen = self._seen
        remembered = {a.zone for a in seen.answers("target", "resolver") if a.zone is not None and not a.addresses}
        owners = sorted({owner for owner, _ in remembered})
        asked: list[tuple[Who, str]] = [(who, seen.name) for who in self.resolvers for _ in range(AGAIN)]
        asked += [("control", owner) for owner in owners for _ in range(AGAIN)]
        random = self._context.random
        exchanges = yield [
            UdpStep(
                address=self._addresses[who], port=self._port, flow=f"zone{i}", match=IDENTIFIER, wait=FIRST_ANSWER,
                payload=dns.query(name, random.randrange(1, 65536), dns.SOA),
            )
            for i, (who, name) in enumerate(asked)
        ]  # fmt: skip
        for (who, name), exchange in zip(asked, exchanges, strict=True):
            if name == seen.name and exchange.answers:
                seen.told_zone.add(who)
            for zone in _zones_of(exchange, name):
                if name == seen.name:
                    seen.zones.setdefault(who, zone)
                if who == "control":
                    seen.genuine_negative |= zone in remembered

    # -- other ways to ask --------------------------------------------------------------------------------------

    def _inside_tls(self, who: Who, name: str) -> list[Step]:
        """A question over TLS (RFC 7858) and over HTTPS (RFC 8484); the certificate must be for the address."""
        address = self._addresses[who]
        framed = dns.framed(dns.query(name, self._context.random.randrange(1, 65536), self._qtype))
        question = base64.urlsafe_b64encode(dns.query(name, 0, self._qtype)).rstrip(b"=").decode()
        host = f"[{address}]" if ":" in address else address
        get = http.request(host, f"/dns-query?dns={question}", headers=(("Accept", _MESSAGE),))
        return [
            TlsStep(address=address, port=_DOT, server_name=address, alpn=("dot",), payload=framed, wait=1.5),
            TlsStep(address=address, port=_HTTPS, server_name=address, alpn=("http/1.1",), payload=get, wait=1.5),
        ]  # fmt: skip

    def confirm(self, phase: What) -> Part[None]:
        """The name, asked of the trusted resolver where nobody can answer in its place: inside TLS, with a certificate
        for its address."""
        found: list[Answer] = []
        for _ in range(LOOKS):
            whole, over_http = yield self._inside_tls("control", self._seen.name)
            answers = [
                reading(exchange.session.data)
                for exchange, reading in ((whole, self._whole), (over_http, self._over_http))
                if exchange.session is not None and exchange.session.chain and not exchange.session.distrust
            ]
            found = [answer for answer in answers if answer is not None]
            if found or all(exchange.session is not None and exchange.session.chain for exchange in (whole, over_http)):
                break
        self._seen.confirmed_by[phase] = frozenset(a for answer in found for a in answer.addresses)
        if found and all(answer.kind == "nxdomain" for answer in found):
            self._seen.denied_by.add(phase)

    def transports(self) -> Part[None]:
        """DNS over TCP, TLS and HTTPS, once each: told, never judged."""
        seen, random = self._seen, self._context.random
        batch: list[Step] = []
        whos = self.resolvers
        for who in whos:
            address = self._addresses[who]
            framed = dns.framed(dns.query(seen.harmless, random.randrange(1, 65536), self._qtype))
            batch.append(TcpStep(address=address, port=self._port, payload=framed))
            batch += self._inside_tls(who, seen.harmless)
        exchanges = iter((yield batch))
        for who in whos:
            stream = react(next(exchanges))
            seen.transports[who] = {
                "tcp": "answers" if self._whole(stream.stream()) else stream.failure or "silent",
                "tls": _encrypted(next(exchanges), self._whole),
                "https": _encrypted(next(exchanges), self._over_http),
            }

    def _over_http(self, data: bytes) -> Answer | None:
        try:
            return from_message(dns.decode(http.decode_response(data).body), self._qtype)
        except MalformedPacket:
            return None

    # -- where --------------------------------------------------------------------------------------------------

    def sweep(self, who: Who) -> Part[None]:
        """Where whoever answers for one of them sits (:mod:`._resolver.where`)."""
        yield from sweep(self._seen, who, self._addresses[who], self._asker, self._qtype, self._trials)

    def turned(self, who: Who) -> Part[None]:
        """Whether it can have been the home that turned queries for one of them (:mod:`._resolver.turned`)."""
        seen = self._seen
        if seen.resolved_by(who, seen.resolver)[0]:
            wait = min(FIRST_ANSWER, 0.2 + 2 * max(seen.slowest(who), seen.slowest("resolver")))
            yield from turned(seen, who, self._addresses[who], self._asker, self._context.random, self._qtype, wait)
