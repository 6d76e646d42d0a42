"""Whether it was somebody on the way, and neither the target nor the home: the physics behind every accusation.

A trigger whose TTL ends before the target can't be answered by it. What TTL ends before the target is not known for
certain, though: packets get lost, and flows take ways of different length. So either the routers say it for this very
flow, or harmless twins at the same TTLs do, in numbers that chance does not explain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import comb

from probe.measurements._judge import hops_away, is_home
from probe.measurements._locate import AGREE, Place, Shot

RARE = 0.0005
"""How seldom chance may give what is claimed (Fisher's exact test): 7 of 7 triggers, 0 of 7 twins is 1 in 3432."""
RARER = 0.00001
"""The same where ways of different length can't be told apart: 10 of 10 against 0 of 10 is 1 in 184756."""
_MOST = 0.75  # of the triggers that reach somebody on the way are answered …
_WELL = 0.9  # … and of the twins that arrive: else they get lost, or the target limits its rate
_NEARLY = 3  # routers by which the ways there and back may differ, where all answers agree on it
_STRAY = 1  # routers that the way back may have more than the way there
MARGIN = 2
"""Links right before the target that are taken for the target's own (its firewall, its load balancer)."""


def by_chance(hits: int, tries: int, twin_hits: int, twin_tries: int) -> float:
    """Fisher's exact test, one-sided: how often chance gives triggers so many hits or more, if they fare like twins."""
    total, all_hits = tries + twin_tries, hits + twin_hits
    ways = comb(total, all_hits)
    return sum(comb(tries, k) * comb(twin_tries, all_hits - k) for k in range(hits, min(tries, all_hits) + 1)) / ways


def tally_below(shots: Iterable[tuple[int, bool]], limit: int | None) -> tuple[int, int]:
    """(answered, tried) of triggers, as (TTL, answered), that can't have arrived: those with a TTL below ``limit``,
    from the lowest on at which one was answered. None where no limit is known."""
    below = [(ttl, answered) for ttl, answered in shots if limit is not None and ttl < limit]
    first = min((ttl for ttl, answered in below if answered), default=256)
    return sum(answered for _, answered in below), sum(ttl >= first for ttl, _ in below)


def proven_short(shots: Sequence[Shot], twins: Iterable[tuple[int, bool]], arrives: int | None) -> bool:
    """Whether triggers were answered that can't have reached the target.

    ``twins``: (TTL, answered by anybody) of harmless twins; ``arrives``: lowest TTL at which one reached the target.
    Proof is a router that reports this trigger, or a harmless probe of its own flow with its TTL, as dead on it, three
    times; or answers to triggers, but to no twin, beyond what chance explains.
    """
    if arrives is None:
        return False
    below = [s for s in shots if s.elicited and s.ttl < arrives]
    if len(below) < AGREE:
        return False
    if sum(s.expired_at is not None or s.ttl in s.routers for s in below) >= AGREE:
        return True
    first = min(s.ttl for s in below)
    tried = sum(first <= s.ttl < arrives for s in shots)
    twins = list(twins)
    answered = [hit for ttl, hit in twins if first <= ttl < arrives]
    reaching = [hit for ttl, hit in twins if ttl >= arrives]
    if len(below) < _MOST * tried:
        return False  # half of them: some flows take a shorter way and do arrive
    if sum(reaching) < _WELL * len(reaching):
        return False  # that twins are not answered says little here
    return by_chance(len(below), tried, sum(answered), len(answered)) < RARE


def ahead(place: Place | None, arrives: int | None, back: int, margin: int = MARGIN) -> bool:
    """Whether a place lies before the target's own site: ``margin`` links or more before the target.

    ``back``: least number of routers from the target to the probe, by the TTL of its packets. A box that copies TTLs is
    compared with one that would sit at the target, so that a shorter way back accuses nobody (and where the target's
    initial TTL is an odd one, which makes it look farther, the way there is what counts).
    """
    if place is None or arrives is None:
        return False
    if place.copied is not None:
        return place.copied + 2 * margin <= arrives - 1 + min(back, arrives - 1)
    return place.first_ttl + margin <= arrives


def vanishes(
    shots: Sequence[Shot], twins: Sequence[Shot], place: Place | None, arrives: int | None, need: int
) -> bool:
    """Whether routers behind the place quote twins, but no trigger, beyond what chance explains.

    Best are flows of which the router with the trigger's (or twin's) own TTL has shown itself: others may go a shorter
    way and arrive. Where few are left to show it (the box blocks all for a while), far more must agree. ``need``:
    triggers that must have been sent right behind the place.
    """
    if place is None or arrives is None or sum(s.ttl == place.first_ttl for s in shots) < need:
        return False
    for rare, alone in ((RARE, True), (RARER, False)):
        tried, harmless = (
            [s for s in some if place.first_ttl <= s.ttl < arrives and (s.ttl in s.routers or not alone)]
            for some in (shots, twins)
        )
        quoted = sum(twin.expired_at is not None for twin in harmless)
        if by_chance(quoted, len(harmless), 0, len(tried)) < rare:
            return True
    return False


def came_farther(early: Sequence[bool], late: Sequence[bool], rare: float) -> bool:
    """Whether triggers still travel where the early ones die, and no longer where the late ones do, beyond chance.

    Who loses a share of all triggers before both (a filter of the home's) loses as many early as late ones. True: it
    still travelled. Only triggers may be given that had no part in choosing the place (the last that is quoted always
    has nothing quoted behind it), sent in an order that chance drew (so that the test holds, whatever one trigger does
    to the next: Fisher 1935, randomization).
    """
    return by_chance(sum(early), len(early), sum(late), len(late)) < rare


def home_depth(routers: Mapping[int, str]) -> int:
    """Routers inside the home: up to the last that shows a home address; a silent first one counts as the home's."""
    return max((ttl for ttl, address in routers.items() if is_home(address)), default=0 if 1 in routers else 1)


def may_be_home(routers: Mapping[int, str]) -> int:
    """Routers that may be inside the home: a silent one right behind those that show themselves may be its second."""
    depth = home_depth(routers)
    return depth + 1 if depth and depth + 1 not in routers else depth


def crossed_home(crossed: Sequence[int], clean: int, depth: int) -> bool:
    """Whether most answers have been counted down by the routers of the home, and so come from outside.

    ``crossed``: routers that each has passed, if it left with a usual TTL. ``clean``: TTL before the link that it
    happens on. On the link right behind the home nothing else tells, so there the count must also fit: what left with a
    TTL of its own choice may come from anywhere.
    """
    most = depth + _STRAY if clean <= depth else 255
    return not crossed or 2 * sum(depth <= count <= most for count in crossed) > len(crossed)


def acts_at_home(
    shots: Iterable[Shot], place: Place | None, routers: Mapping[int, str], *, dropping: bool = False,
    back: int | None = None,
) -> bool:  # fmt: skip
    """Whether it is, or may be, the home's own doing. ``back``: as for :func:`spared_by_luck`.

    It is if a trigger that can't leave the home is answered, or if too few routers have counted the answer's own TTL
    down for it to come from outside. (A router looks at what it forwards only after it has counted the TTL down, so the
    home's last one seems to act on the link behind it.) Silence on that link may be the home's: nothing tells.
    """
    shots = list(shots)
    seen = {ttl: address for s in shots for ttl, address in s.routers.items()}
    seen |= {s.ttl: s.expired_at for s in shots if s.expired_at is not None}
    depth = may_be_home({**seen, **routers})
    if depth == 0:
        return False
    crossed = [hops_away(s.reply_ttl) for s in shots if s.elicited and s.reply_ttl is not None]
    if place is None:
        return 2 * sum(count < depth for count in crossed) > len(crossed)
    if place.first_ttl <= depth or any(s.elicited and s.ttl <= depth for s in shots):
        return True
    if place.copied is not None:
        return False
    if dropping:
        return place.clean_ttl <= depth
    if place.clean_ttl < depth or not crossed_home(crossed, place.clean_ttl, depth):
        return True
    return spared_by_luck(shots, place, {**seen, **routers}, back)


def spared_by_luck(
    shots: Iterable[Shot], place: Place | None, routers: Mapping[int, str], back: int | None = None
) -> bool:
    """Whether somebody in the home could have answered a share of the triggers and, by chance, none that die early.

    Not if all behind the place are answered, nor if the answers' own TTLs, all alike, tell that they come from there
    and from no farther (``back``: least number of routers from the target to the probe, whose TTL may be copied). Else
    the early ones must be answered more seldom, beyond what chance explains (at any of some ten places: so the bound is
    that much stricter).
    """
    if place is None or place.copied is not None:
        return False
    depth, clean = may_be_home(routers), place.clean_ttl
    if clean <= depth:
        return False  # nobody was spared: `acts_at_home` goes by the answers' TTLs there
    shots = list(shots)
    behind = [s.elicited for s in shots if s.ttl >= place.first_ttl]
    crossed = [hops_away(s.reply_ttl) for s in shots if s.elicited and s.reply_ttl is not None]
    told = [abs(count - clean) <= _NEARLY and (back is None or count + _STRAY < back) for count in crossed]
    if all(behind) or (told and all(told)):
        return False
    early = [s.elicited for s in shots if depth < s.ttl < place.first_ttl]
    return not came_farther(behind, early, RARE / 10)
