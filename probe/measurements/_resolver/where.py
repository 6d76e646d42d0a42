"""Where the one sits who answers: queries at every TTL, then plain datagrams, which show the path beyond."""

from __future__ import annotations

from probe.measurements import Part, _locate
from probe.measurements._dns.queries import Asker, shot
from probe.measurements._locate import Shot, expired_at, place
from probe.measurements._resolver.seen import Seen, Swept, Who, read
from probe.model.exchange import Exchange, Step, UdpStep

FIRST_ANSWER = 4.0
"""Seconds: a slow resolver is not an absent one."""
LOOKS = 2
"""How often what came to nothing is tried: a bad line needs the second."""
AGAIN = 4
"""Times that a question is asked whose lack of an answer would count."""
_FARTHEST = 30
_NO_PORT = 33434  # where traceroute begins: nothing listens there


def sweep(seen: Seen, who: Who, address: str, asker: Asker, qtype: int, trials: int) -> Part[None]:
    """Queries at every TTL towards whoever answered oddly: for the name and a harmless one, or, where every name is
    answered, for the harmless one alone; then plain datagrams, which show the path beyond. What they tell is in
    ``seen.sweeps``."""
    swept = Swept(address=address)
    top = min(_FARTHEST, max(seen.reach(who) + 4, 8))
    wait = min(FIRST_ANSWER, max(0.4, 5 * seen.round_trip(), 0.2 + 1.5 * seen.slowest(who)))
    name = seen.name if who == "resolver" else seen.harmless

    def make(ttl: int, _number: int) -> list[Step]:
        return [
            asker.ask(one, address, flow="sweep", ttl=ttl, wait=wait, linger=0.1)
            for one in (name, seen.harmless)
        ]

    def hear(ttl: int, exchanges: list[Exchange]) -> Shot:
        trigger, twin = exchanges
        swept.twins.append((ttl, read(twin, qtype) is not None))
        for exchange in (twin, trigger):
            if (router := expired_at(exchange)) is not None:
                swept.routers.setdefault(ttl, router)
                swept.died.append((ttl, router))
        swept.shots.append(shot(ttl, trigger, twin))
        return swept.shots[-1]

    yield from _locate.sweep(range(1, top + 1), make, hear)
    for _ in range(AGAIN):  # a twin that got lost must not look like one that is not answered there
        at = swept.answers
        if at is None or swept.arrives is None or at >= swept.arrives:
            break
        exchanges = yield [step for _ in range(trials) for step in make(at, 1)[1:]]
        swept.twins += [(at, read(twin, qtype) is not None) for twin in exchanges]
    yield from _plain(swept, top, wait)
    swept.place = place(swept.shots, swept.routers, arrives=swept.arrives)
    seen.sweeps[who] = swept


def _plain(swept: Swept, top: int, wait: float) -> Part[None]:
    """Plain datagrams at every TTL: the path to the address itself; once more where nothing was heard, and again
    where no router behind the place that answers was, which a bad line may have caused."""
    for number in range(AGAIN):
        behind = [ttl for ttl in range(1, top + 1) if ttl > (swept.answers or top)]
        if number >= LOOKS and (swept.ends is not None or any(ttl in swept.routers for ttl in behind)):
            return
        wanted = behind if number >= LOOKS else list(range(1, top + 1))
        ttls = [ttl for ttl in wanted if ttl not in swept.plainly and ttl < (swept.ends or 256)]
        steps: list[Step] = [
            UdpStep(
                address=swept.address, port=_NO_PORT, payload=b"colibri" + bytes((ttl,)), ttl=ttl,
                flow="path", wait=wait,
            )
            for ttl in ttls
        ]  # fmt: skip
        if not steps:
            return
        for ttl, exchange in zip(ttls, (yield steps), strict=True):
            if (router := expired_at(exchange)) is not None:
                swept.routers.setdefault(ttl, router)
                swept.plainly.setdefault(ttl, router)
                swept.plain = max(swept.plain or 0, ttl + 1)
            elif any(heard.packet.source == swept.address for heard in exchange.errors):
                swept.ends = min(swept.ends or ttl, ttl)
