"""Who makes calls fail: TTL sweeps with what fails and with its twin, that tell the line from home and far end.

A packet whose TTL ends on the way makes the router there quote it. Where routers quote twins but no longer what fails,
somebody between swallowed it; where it is answered although it can't have arrived, somebody between answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from probe.measurements import Part
from probe.measurements._judge import hops_away, is_home
from probe.measurements._locate import AGREE, Place, Shot, expired, place, place_drop
from probe.measurements._proof import RARER, acts_at_home, ahead, by_chance, home_depth, proven_short
from probe.measurements._tcp.triggers import react, shot
from probe.measurements._voip.call import belongs
from probe.model.exchange import Exchange, Step, TcpStep, UdpStep
from probe.model.packet import Icmp

_ROUNDS = 10
_FARTHEST = 30
_BEYOND = 3  # TTLs behind the far end's, by its answers, if the way there is longer than the way back

Make = Callable[[int, int], Step]
"""Makes the step for a TTL, in a round."""


class Suspect(msgspec.Struct, frozen=True):
    """What fails, and its twin: makers of their steps."""

    name: str
    trigger: Make
    twin: Make


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep told. ``home``: it is, or may be, the home's own doing; ``ahead``: it acts before the far end's own
    site; ``proven``: beyond chance. ``tried`` of the failing kind reached the place, ``agreed`` of them fell silent or
    were answered there; ``shown_at``: the highest TTL at which a router outside the home quoted it, 0 if none did."""

    place: Place | None
    home: bool = False
    ahead: bool = False
    proven: bool = False
    agreed: int = 0
    tried: int = 0
    arrives: int | None = None
    shown_at: int = 0

    @property
    def guilty(self) -> bool:
        """Whether neither home, nor far end, nor chance explains it."""
        return self.place is not None and self.proven and self.ahead and not self.home


class _Swept:
    """Shots of one suspect so far. ``refused``, ``twins_refused``: (TTL, router) where one said by ICMP that it does
    not let them pass."""

    def __init__(self, suspect: Suspect) -> None:
        self.suspect = suspect
        self.shots: list[Shot] = []
        self.twins: list[Shot] = []
        self.refused: list[tuple[int, str]] = []
        self.twins_refused: list[tuple[int, str]] = []

    def routers(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for one in (*self.twins, *self.shots):
            if one.expired_at is not None:
                found.setdefault(one.ttl, one.expired_at)
        return found


def locate(
    suspects: Sequence[Suspect], address: str, reply_ttl: int | None, rounds: int = _ROUNDS
) -> Part[list[Located]]:
    """Sweep for each suspect, all side by side, until what is to be shown is beyond chance or is not going to be.

    ``address`` is the far end's; ``reply_ttl``: TTL of its packets on arrival, None where none came; ``rounds``: how
    many there is time for, two at the least.
    """
    swept = [_Swept(suspect) for suspect in suspects]
    reach = hops_away(reply_ttl) + 1 if reply_ttl is not None else 16
    top = min(_FARTHEST, reach + _BEYOND)
    wanted = {one.suspect.name: list(range(1, top + 1)) for one in swept}
    back = hops_away(reply_ttl) if reply_ttl is not None else reach - 1
    results: dict[str, Located] = {}
    for number in range(min(_ROUNDS, max(2, rounds))):
        yield from _round(swept, wanted, number, address)
        for one in swept:
            found = results[one.suspect.name] = _judge(one, back)
            wanted[one.suspect.name] = _next(one, found, top, number)
        if not any(wanted.values()):
            break
    return [results[one.suspect.name] for one in swept]


def _round(swept: list[_Swept], wanted: Mapping[str, list[int]], number: int, address: str) -> Part[None]:
    """One shot of each kind at each TTL wanted; kinds take turns at going first, since routers ration their errors."""
    steps: list[Step] = []
    readers: list[tuple[list[Shot], list[tuple[int, str]], int]] = []
    for one in swept:
        for ttl in wanted[one.suspect.name]:
            kinds = [(one.shots, one.refused, one.suspect.trigger), (one.twins, one.twins_refused, one.suspect.twin)]
            for into, refused, make in kinds if (number + ttl) % 2 else reversed(kinds):
                steps.append(make(ttl, number))
                readers.append((into, refused, ttl))
    exchanges = yield steps
    for (into, refused, ttl), exchange in zip(readers, exchanges, strict=True):
        into.append(_shot(ttl, exchange, address))
        refused += [(ttl, router) for router in _refusals(exchange) if router != address][:1]


def _refusals(exchange: Exchange) -> list[str]:
    """Who said that it does not let the packet pass."""
    return [h.packet.source for h in exchange.errors if not _exceeded(h.packet.header, h.packet.version)]


def _shot(ttl: int, exchange: Exchange, address: str) -> Shot:
    """Any answer but a router's time exceeded elicits; whether it is the far end's own is a matter of TTLs."""
    if isinstance(exchange.step, TcpStep):
        reaction = react(exchange)
        seen = shot(ttl, exchange, reaction)
        return Shot(ttl, seen.elicited or reaction.acknowledged, seen.reply_ttl, seen.expired_at)
    died = expired(exchange)
    asked = exchange.step.payload if isinstance(exchange.step, UdpStep) else None
    answers = [h for h in exchange.answers if asked is None or belongs(asked, h.packet.payload)]
    replies = [*answers, *(h for h in exchange.errors if not _exceeded(h.packet.header, h.packet.version))]
    first = min(replies, key=lambda h: h.at, default=None)
    return Shot(
        ttl=ttl, elicited=first is not None, reply_ttl=None if first is None else first.packet.ttl,
        expired_at=next((router for router, _ in died if router != address), None),
    )  # fmt: skip


def _exceeded(header: object, version: int) -> bool:
    return isinstance(header, Icmp) and header.type == (3 if version == 6 else 11)


def _judge(one: _Swept, back: int) -> Located:
    arrives = min((t.ttl for t in one.twins if t.elicited), default=None)
    routers = one.routers()
    if (refusing := _refusing(one, routers, arrives)) is not None:
        # Its word is soon there, and few twins have been sent by then: the way back says how far it is, too.
        nearest = None if arrives is None else min(arrives, back + 1)
        return msgspec.structs.replace(refusing, ahead=ahead(refusing.place, nearest, back))
    below = [s for s in one.shots if s.elicited and (arrives is None or s.ttl < arrives)]
    dropping = len(below) < AGREE
    if dropping:
        spot = _wider(place_drop(one.shots, one.twins, routers, arrives=arrives), one, routers)
        tried = [] if spot is None else [s for s in one.shots if _between(s.ttl, spot, arrives)]
        agreed = sum(s.expired_at is None and not s.elicited for s in tried)
        proven = spot is not None and _vanish(tried, [t for t in one.twins if _between(t.ttl, spot, arrives)])
    else:
        # What answers at full length may be the far end itself: only shots that can't arrive are asked.
        short = [s for s in one.shots if arrives is None or s.ttl < arrives]
        spot = place(short, routers, arrives=arrives)
        tried = [] if spot is None else [s for s in short if _between(s.ttl, spot, arrives)]
        agreed = sum(s.elicited for s in tried)
        proven = proven_short(one.shots, [(t.ttl, t.elicited) for t in one.twins], arrives)
    return Located(
        place=spot, home=_at_home(one, spot, routers, dropping), ahead=ahead(spot, arrives, back), proven=proven,
        agreed=agreed, tried=len(tried), arrives=arrives, shown_at=max(_outside(one.shots, routers), default=0),
    )  # fmt: skip


def _refusing(one: _Swept, routers: Mapping[int, str], arrives: int | None) -> Located | None:
    """A router outside the home that says itself, three times, that it lets this pass no farther, and twins always:
    its word needs no test. (It may ration such words, so how many shots it left without one says nothing.)"""
    words = Counter(router for _, router in one.refused if not is_home(router))
    if one.twins_refused or not words:
        return None
    who, count = words.most_common(1)[0]
    if count < AGREE:
        return None
    ttls = [ttl for ttl, router in one.refused if router == who]
    # Where ways differ in length, some get farther: the farthest that was quoted counts.
    clean = max((s.ttl for s in one.shots if s.expired_at is not None), default=0)
    known = [*ttls, *(ttl for ttl, router in routers.items() if router == who)]
    first = min((ttl for ttl in known if ttl > clean), default=clean + 1)
    spot = Place(clean, first, routers.get(clean), who, "in_path", count, count)
    shown_at = max(_outside(one.shots, routers), default=0)
    return Located(place=spot, proven=True, agreed=count, tried=count, arrives=arrives, shown_at=shown_at)


def _wider(spot: Place | None, one: _Swept, routers: Mapping[int, str]) -> Place | None:
    """Who knows a call by several packets misses some, where the line loses one of them: such a shot gets past him. So
    the link reaches down to where most shots are quoted that are so of twins."""
    if spot is None:
        return None
    clean = spot.clean_ttl
    while clean > 0 and _mostly(one.twins, clean) and not _mostly(one.shots, clean):
        clean -= 1
    return spot if clean == spot.clean_ttl else msgspec.structs.replace(
        spot, clean_ttl=clean, clean_hop=routers.get(clean)
    )


def _mostly(shots: Sequence[Shot], ttl: int) -> bool:
    """Whether a router quotes more than half of the shots at a TTL."""
    quoted = [s.expired_at is not None for s in shots if s.ttl == ttl]
    return 2 * sum(quoted) > len(quoted)


def _between(ttl: int, spot: Place, arrives: int | None) -> bool:
    return spot.first_ttl <= ttl and (arrives is None or ttl < arrives)


def _vanish(tried: Sequence[Shot], twins: Sequence[Shot]) -> bool:
    """Whether routers behind the place quote twins, and none of what fails, beyond what chance explains. That flows may
    go ways of different length asks for more than chance alone: RARER."""
    quoted = sum(t.expired_at is not None for t in twins)
    return by_chance(quoted, len(twins), sum(s.expired_at is not None for s in tried), len(tried)) < RARER


def _at_home(one: _Swept, spot: Place | None, routers: Mapping[int, str], dropping: bool) -> bool:
    """As for TCP; besides, what fails must itself have been quoted by a router outside, or been answered beyond it."""
    if acts_at_home(one.shots, spot, routers, dropping=dropping):
        return True
    return dropping and not _outside(one.shots, routers)


def _outside(shots: Sequence[Shot], routers: Mapping[int, str]) -> list[int]:
    """TTLs at which a router outside the home quoted a shot: so it had left the home."""
    depth = home_depth(routers)
    return [s.ttl for s in shots if s.expired_at is not None and not is_home(s.expired_at) and s.ttl > depth]


def _next(one: _Swept, found: Located, top: int, number: int) -> list[int]:
    """TTLs that are worth another shot: around the place, and all that twins show behind it."""
    if number + 1 >= AGREE and found.proven and found.place is not None and found.agreed >= AGREE:
        return []
    if found.home and len(one.shots) > top * 2:
        return []
    end = found.arrives or top + 1
    if found.place is None:
        return list(range(1, min(end, top) + 1)) if len(one.shots) < 2 * top else []
    first = found.place.first_ttl
    return list(range(max(1, first - 1), end))
