"""What `tampering` sends: requests and TLS sessions in a two by two, datagrams with a TOS byte, sweeps of TTLs."""

from __future__ import annotations

from probe.measurements import Context, Part, _far
from probe.measurements._judge import hops_away
from probe.measurements._locate import AGREE, PAIRS, Shot, expired, expired_at, place, sweep
from probe.measurements._proof import proven_short
from probe.measurements._tamper.seen import (
    TRIAL,
    TWINS,
    Cell,
    Kind,
    Look,
    Path,
    Phase,
    Seen,
    certificate,
    header_names,
    page,
)
from probe.measurements._tcp.triggers import path, react, shot
from probe.model.exchange import Exchange, Step, TcpStep, TlsStep, UdpStep
from probe.model.packet import Packet, Tcp
from probe.model.reflector import PORT, Echo
from probe.wire import http, reflector, tls

_WAIT = 4.0  # seconds for an answer: a slow proxy is not an absent one
_FARTHEST = 30
_CONFIRM = 4  # rounds at the most that rule out chance, by PAIRS requests and twins each
_TOSES = (0, 0xB8, 0x28, 0x02, 0x01)  # none; DSCP EF and AF11; ECT(0); ECT(1) (RFC 2474, RFC 3168)
_KNOWN: dict[Kind, int] = {"http": 80, "tls": 443}
KINDS: tuple[Kind, ...] = ("http", "tls")


class Asking:
    """The parts of one run, for ``yield from``; what they hear goes into ``seen``."""

    def __init__(self, seen: Seen, far: _far.Far, context: Context, trials: int) -> None:
        self._seen, self._far, self._context, self._trials = seen, far, context, trials
        grant = far.grant
        random = [port for port in grant.random if port in grant.tcp and port not in _KNOWN.values()]
        for kind, known in _KNOWN.items():
            if known in grant.tcp and random:
                seen.ports[kind] = (known, context.random.choice(random))
        seen.certificates.append(grant.certificate)
        self._reach = 16
        self._slowest = 0.0  # seconds from a first message to its answer

    # -- requests and sessions ----------------------------------------------------------------------------------

    def _port(self, kind: Kind, cell: Cell) -> int:
        known, random = self._seen.ports[kind]
        return known if cell[0] == "known" else random

    def _name(self, cell: Cell) -> str:
        return self._seen.target if cell[1] == "target" else self._seen.harmless

    def _request(self, cell: Cell) -> bytes:
        """A request that any server understands, in an order and letter case that few clients use."""
        random = self._context.random
        headers = (
            ("x-TRACE", random.randbytes(6).hex()), ("aCCept", "*/*"), ("Connection", "close"),
            ("X-mark", random.randbytes(6).hex()),
        )  # fmt: skip
        return http.request(self._name(cell), f"/{random.randbytes(6).hex()}", headers=headers)

    def _step(self, kind: Kind, cell: Cell) -> Step:
        port = self._port(kind, cell)
        if kind == "http":
            return TcpStep(address=self._seen.far, port=port, payload=self._request(cell), wait=_WAIT)
        return TlsStep(address=self._seen.far, port=port, server_name=self._name(cell), alpn=("http/1.1",), wait=_WAIT)

    def looks(self, phase: Phase) -> Part[None]:
        """The trial cell, or before and after its twins, each several times, all side by side. Where something came
        through changed, the twins of what did not are not needed again."""
        cells = (TRIAL,) if phase == "trial" else TWINS
        kinds = self._seen.changed() if phase == "after" else ()
        wanted = [(kind, cell) for kind in kinds or self._seen.ports for cell in cells for _ in range(self._trials)]
        exchanges = yield [self._step(kind, cell) for kind, cell in wanted]
        for (kind, _), exchange in zip(wanted, exchanges, strict=True):
            if kind == "http" and not self._seen.usual and page(exchange, frozenset()).touched is False:
                self._seen.usual = header_names(exchange)
        for (kind, cell), exchange in zip(wanted, exchanges, strict=True):
            self._seen.looks[kind, phase, cell].append(self._look(kind, exchange))
            self._slowest = max(self._slowest, _answer_time(exchange))
            synack = exchange.synack
            if cell[0] == "random" and synack is not None:
                self._reach = hops_away(synack.packet.ttl) + 1

    def _look(self, kind: Kind, exchange: Exchange) -> Look:
        if kind == "http":
            return page(exchange, self._seen.usual)
        return certificate(exchange, self._seen.certificates[0])

    def certificate_again(self) -> Part[None]:
        """The far end's certificate, as it tells it now."""
        far = yield from _far.hello(self._seen.far, self._context)
        if far is not None:
            self._seen.certificates.append(far.grant.certificate)

    # -- header fields ------------------------------------------------------------------------------------------

    def toses(self) -> Part[None]:
        """How datagrams with some TOS bytes arrive; where one is rewritten, by what routers quote."""
        port = self._far.grant.udp[0] if PORT not in self._far.grant.udp and self._far.grant.udp else PORT
        for tos in _TOSES:
            found = yield from _far.echo(self._far, [port] * 2, self._context, tos=tos)
            arrived = [one.tos for one in found if one is not None and one.tos is not None]
            self._seen.tos[tos] = [arrived[0] if arrived else None]
        changed = next((tos for tos, (arrived, *_) in self._seen.tos.items() if arrived not in (None, tos)), None)
        if changed is None:
            return
        steps: list[Step] = [
            UdpStep(
                address=self._seen.far, port=port, ttl=ttl, flow="tos", tos=changed, wait=1.0, match=_far.MATCH,
                payload=reflector.control(self._far.token(self._context), Echo()),
            )
            for ttl in range(1, min(self._reach, _FARTHEST) + 1)
        ]  # fmt: skip
        for ttl, exchange in enumerate((yield steps), 1):
            for _, quoted in expired(exchange)[:1]:
                self._seen.tos_path[ttl] = quoted.tos

    # -- where --------------------------------------------------------------------------------------------------

    def _payload(self, kind: Kind, cell: Cell) -> bytes:
        if kind == "http":
            return self._request(cell)
        random = self._context.random
        return tls.client_hello(
            self._name(cell), random.randbytes(32), random.randbytes(32), alpn=("http/1.1",), newest="1.2"
        )  # in TLS 1.2 whoever answers shows his certificate in the clear

    def sweep(self, kind: Kind, twin: Cell) -> Part[None]:
        """The trial's first message at every TTL, on a connection of full length, beside that of its twin: whoever ends
        the connection on the way answers where the far end can't; whoever rewrites it in passing shows in quotes."""
        seen, found = self._seen, Path()
        seen.paths[kind] = found
        wait = min(_WAIT, max(1.5, 0.5 + 4 * self._slowest))  # whoever stands between takes his time

        def make(ttl: int, _number: int) -> list[Step]:
            return [
                TcpStep(
                    address=seen.far, port=self._port(kind, cell), payload=self._payload(kind, cell), ttl=ttl,
                    path=(ttl,), wait=wait, linger=0.05,
                )
                for cell in (TRIAL, twin)
            ]  # fmt: skip

        def read(ttl: int, exchanges: list[Exchange]) -> Shot:
            trigger, harmless = exchanges
            reaction = react(harmless)
            found.twins.append((ttl, reaction.elicited))
            for router_ttl, address in path(harmless).items():
                found.routers.setdefault(router_ttl, address)
            if (router := expired_at(harmless)) is not None:
                found.routers.setdefault(ttl, router)
            _note_quotes(found, ttl, trigger)
            found.shots.append(shot(ttl, trigger, react(trigger)))
            return found.shots[-1]

        yield from sweep(range(1, min(_FARTHEST, self._reach + 3) + 1), make, read)
        for _ in range(_CONFIRM):
            found.place = place(_below(found), found.routers, arrives=found.arrives)
            if found.place is None or proven_short(found.shots, found.twins, found.arrives):
                break
            ttl = found.place.first_ttl
            exchanges = iter((yield [step for _ in range(PAIRS) for step in make(ttl, 1)]))
            for trigger, harmless in zip(exchanges, exchanges, strict=True):
                read(ttl, [trigger, harmless])
        yield from self._shortest_way(kind, twin, found)
        found.place = place(_below(found), found.routers, arrives=found.arrives)
        yield from self._quotes_again(found, make, read)

    def _shortest_way(self, kind: Kind, twin: Cell, found: Path) -> Part[None]:
        """See whether some connections reach the far end sooner: what is taken to be before it must not be at it."""
        for _ in range(_CONFIRM):
            arrives = found.arrives
            if arrives is None or found.place is None or found.place.first_ttl >= arrives:
                return
            ttls = [ttl for ttl in (arrives - 1, arrives - 2) if ttl > 0 for _ in range(2 * PAIRS)]
            exchanges = yield [
                TcpStep(
                    address=self._seen.far, port=self._port(kind, twin), payload=self._payload(kind, twin), ttl=ttl,
                    wait=1.0, linger=0.05,
                )
                for ttl in ttls
            ]  # fmt: skip
            for ttl, exchange in zip(ttls, exchanges, strict=True):
                found.twins.append((ttl, react(exchange).elicited))
            if found.arrives == arrives:
                return

    def _quotes_again(self, found: Path, make: object, read: object) -> Part[None]:
        """Three quotes each, next to where requests begin to be quoted as changed."""
        if not found.quotes.touched or not callable(make) or not callable(read):
            return
        first = min(found.quotes.touched)
        clean = max((ttl for ttl in found.quotes.untouched if ttl < first), default=0)
        for _ in range(AGREE - 1):
            for ttl in filter(None, (clean, first)):
                exchanges = yield make(ttl, 1)
                read(ttl, exchanges)


def _answer_time(exchange: Exchange) -> float:
    """Seconds from the first bytes that were sent on a connection to the first that came; 0 where none did."""
    sent = next((h.at for h in exchange.heard if h.outgoing and h.packet.payload), None)
    came = next((h.at for h in exchange.heard if not h.outgoing and _is_data(h.packet)), None)
    return came - sent if sent is not None and came is not None and came > sent else 0.0


def _is_data(packet: Packet) -> bool:
    return isinstance(packet.header, Tcp) and bool(packet.payload)


def _below(found: Path) -> list[Shot]:
    """Shots that the far end can't have answered, and those that nobody did."""
    limit = found.arrives if found.arrives is not None else 256
    return [one for one in found.shots if one.ttl < limit or not one.elicited]


def _note_quotes(found: Path, ttl: int, exchange: Exchange) -> None:
    """Whether the router where a request died quotes it as it was sent."""
    step = exchange.step
    sent = step.payload if isinstance(step, TcpStep) else b""
    for _, quoted in expired(exchange):
        if isinstance(quoted.header, Tcp) and len(quoted.payload) >= min(len(sent), 64):
            same = sent.startswith(quoted.payload)
            (found.quotes.untouched if same else found.quotes.touched).append(ttl)
            return
