"""Whether queries that reach another resolver than the one asked were turned beyond the home: two ways to tell.

A home router that sends all queries on to the line's own resolver looks like an operator that does: the answers come
from as far, and routers quote what the home has translated back. But a home turns queries *before* they travel. So

* queries for the operator's own routers, which run no resolver, would be turned by the home as well; those for a router
  that comes before the operator's box never meet it, and get no answer;
* a query that still dies on the way to whom it was meant for, as far away as the line's own resolver answers, was not
  turned before it got there.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from probe.measurements import Part
from probe.measurements._beyond import private
from probe.measurements._dns.queries import Asker
from probe.measurements._judge import is_home
from probe.measurements._proof import home_depth
from probe.measurements._resolver.seen import Seen, Who, askable, read
from probe.model.exchange import FULL_TTL, UdpStep

_ROUNDS = 7  # at the most …
_EACH = 3  # … of so many queries for each address
_MOST = 3  # routers that are asked: the nearest ones beyond the home


def _routers(routers: dict[int, str], below: int, given: Iterable[str]) -> list[str]:
    """Routers beyond the home, nearest first, that may be asked."""
    given = list(given)
    found = [address for ttl, address in sorted(routers.items()) if home_depth(routers) < ttl < below]
    return [one for one in found if not is_home(one) and not private(one) and askable(one, given)][:_MOST]


def turned(seen: Seen, who: Who, address: str, asker: Asker, random: Random, qtype: int, wait: float) -> Part[None]:
    """Asks the harmless name of ``address`` (``who``), of routers before it and of the line's own resolver, in an order
    that chance draws, until it is shown that the home does not turn queries, or has been asked for long enough."""
    swept = seen.sweeps.get(who)
    if swept is None or swept.answers is None or not seen.resolver:
        return
    # That a home turns all queries is what routers could disprove; so only where nobody is left alone.
    routers = _routers(swept.routers, swept.answers, (address, seen.resolver)) if who == "silent" else []
    shared = swept.on_its_way()
    for number in range(_ROUNDS):
        wanted: list[tuple[list[bool], str, int]] = []
        for _ in range(_EACH):
            if routers:
                wanted.append((swept.beside, address, FULL_TTL))
            wanted += [(swept.at_routers.setdefault(one, []), one, FULL_TTL) for one in routers]
            if shared:
                wanted += [(swept.own_there, seen.resolver, shared), (swept.still_there, address, shared)]
        random.shuffle(wanted)
        steps: list[UdpStep] = [
            asker.ask(seen.harmless, to, flow=f"turned{number}.{i}", ttl=ttl, wait=wait)
            for i, (_, to, ttl) in enumerate(wanted)
        ]
        if not steps:
            return
        for (into, _, _), exchange in zip(wanted, (yield list(steps)), strict=True):
            into.append(read(exchange, qtype) is not None)
        if swept.left_home():
            return
