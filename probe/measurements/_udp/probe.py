"""Asks one UDP trigger of a line: twins before and after, both in turns, a TTL sweep. `_udp.verdict` judges.

Every datagram has a flow (a source port) of its own, so that a box which remembers flows says nothing about the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import msgspec

from probe.measurements import Part
from probe.measurements._locate import place, place_drop
from probe.measurements._udp.seen import AtEnd, End, Seen
from probe.measurements._udp.triggers import Reaction, Trigger, react, shot
from probe.model.exchange import FULL_TTL, PauseStep, Step, UdpStep

_FARTHEST = 30
_FIRST_ANSWER = 3.0  # seconds: a slow far end is not an absent one
_MOST_TRIALS = 18  # of each kind at each far end, until chance is ruled out or not
_CONFIRM = 8  # rounds at the most near the place, after the sweep
_EARLY = 4  # triggers of each such round that should still be reported …
_BEYOND = 3  # … and that go all the way
_WAYS = 12  # twins that look for a shorter way
_NARROW = 2  # rounds that look for routers which have not shown themselves yet, and so many of them
_TOKEN_LASTS = 150.0  # seconds of waiting after which a reflector is asked for another token
_MOST_WAITING = 900.0  # seconds in all
_PAUSES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # residual blocking seen in the field lasts up to three minutes


class Plan(msgspec.Struct, frozen=True):
    """Whom to ask what; ``twin``: the harmless name; ``ends``: the far ends whose answers count."""

    trigger: Trigger
    twin: str
    ends: tuple[End, ...]
    trials: int
    locate: bool
    renew: Callable[[End], Part[End]] | None = None
    """Gets a far end a new token: one is good for five minutes."""


class _Asker:
    """Makes datagrams, each on a flow that nobody else has, unless told otherwise."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan, self._random, self._flows = plan, random, 0
        self._made: dict[tuple[str, bool, int], bytes] = {}
        self.waited = self._renewed = 0.0

    def renew(self, ends: list[AtEnd]) -> Part[None]:
        """New tokens, where much time was spent on waiting."""
        if self._plan.renew is None or self.waited - self._renewed < _TOKEN_LASTS:
            return
        self._renewed = self.waited
        self._made.clear()
        for one in ends:
            if one.end.token:
                one.end = yield from self._plan.renew(one.end)

    def shuffled(self, ttls: list[int]) -> list[int]:
        """The same in an order that chance draws."""
        return self._random.sample(ttls, len(ttls))

    def flow(self) -> str:
        """The name of a new flow."""
        self._flows += 1
        return f"udp{self._flows}"

    def ask(
        self, end: End, *, trigger: bool, wait: float, ttl: int = FULL_TTL, flow: str = "", number: int = 0
    ) -> UdpStep:
        """A trigger, or the ``number``-th twin."""
        key = end.address, trigger, number
        made = self._made.get(key) or self._make(end, trigger)
        if end.token:
            # Each opens no session there: it may be sent again as it is, which keeps the evidence small.
            self._made[key] = made
        return UdpStep(
            address=end.address, port=end.port, payload=made, ttl=ttl, flow=flow or self.flow(), wait=wait, linger=0.05
        )

    def _make(self, end: End, trigger: bool) -> bytes:
        plan, random = self._plan, self._random
        return plan.trigger.payload(random, end.token) if trigger else plan.trigger.twin(random, end.token, plan.twin)


def ask(plan: Plan, random: Random) -> Part[Seen]:
    """The whole protocol. Returns what was seen, unjudged."""
    seen = Seen(plan.trigger, plan.twin, list(plan.ends))
    asker = _Asker(plan, random)
    yield from _twins(seen.ends, asker, plan.trials, _FIRST_ANSWER, "before")
    weak = [one for one in seen.ends if 3 * sum(r.answered for r in one.before) < 2 * plan.trials]
    if weak:  # loss, or nobody there: once more, so that loss alone seldom ends it
        yield from _twins(weak, asker, 2 * plan.trials, _FIRST_ANSWER, "before")
    if not seen.live:
        return seen  # nothing to compare with: the trigger need not be sent at all
    while not seen.lasting and min(len(one.triggers) for one in seen.live) < _MOST_TRIALS:
        yield from (_one_by_one if seen.apart else _side_by_side)(plan, seen, asker)
        if seen.live[0].triggers and seen.settled():
            break
    if (plan.locate or seen.suspicious()) and not seen.lasting:
        yield from _sweep(seen, asker)
    if not seen.lasting:
        yield from _recover(seen, asker, seen.live)
    if not seen.lasting:
        # More than before: all that was seen is worth nothing if these get lost.
        yield from _twins(seen.live, asker, plan.trials + 2, seen.patience(), "after")
    return seen


def _twins(ends: list[AtEnd], asker: _Asker, count: int, wait: float, phase: str) -> Part[None]:
    batch: list[Step] = [asker.ask(one.end, trigger=False, wait=wait) for one in ends for _ in range(count)]
    reactions = iter([react(e) for e in (yield batch)])
    for one in ends:
        heard = [next(reactions) for _ in range(count)]
        (one.before if phase == "before" else one.after).extend(heard)


def _side_by_side(plan: Plan, seen: Seen, asker: _Asker) -> Part[None]:
    """Triggers and twins in turns: what loses packets loses both alike. Where triggers make twins fail as well, such a
    round says nothing, and from then on they go apart."""
    kinds = (True, False) * plan.trials
    wait = seen.patience()
    ends = seen.live
    batch: list[Step] = [asker.ask(one.end, trigger=kind, wait=wait) for one in ends for kind in kinds]
    heard = iter([react(e) for e in (yield batch)])
    rounds = [[next(heard) for _ in kinds] for _ in ends]
    twins = [r.answered for round_ in rounds for r in round_[1::2]]
    if 2 * sum(twins) < len(twins) and not seen.apart:
        seen.apart = True
        yield from _recover(seen, asker, ends)
        return
    for one, round_ in zip(ends, rounds, strict=True):
        one.triggers += round_[::2]
        one.between += round_[1::2]


def _one_by_one(plan: Plan, seen: Seen, asker: _Asker) -> Part[None]:
    """A trigger, then a twin as soon as twins are answered again; all far ends side by side."""
    ends = seen.live
    for _ in range(plan.trials):
        if seen.lasting:
            return
        batch: list[Step] = [asker.ask(one.end, trigger=True, wait=seen.patience()) for one in ends]
        for one, exchange in zip(ends, (yield batch), strict=True):
            one.triggers.append(react(exchange))
        yield from _recover(seen, asker, ends)


def _recover(seen: Seen, asker: _Asker, ends: list[AtEnd]) -> Part[None]:
    """Residual blocking: wait until every far end answers twins again, and note how long that took. No more than the
    pauses allow: then it is ``lasting``."""
    if not seen.apart:
        return
    waited = 0.0
    for pause in (0.0, *_PAUSES):
        if pause:
            yield [PauseStep(seconds=pause)]
            waited += pause
            asker.waited += pause
            yield from asker.renew(ends)
        # Two each: one may get lost.
        batch: list[Step] = [asker.ask(one.end, trigger=False, wait=seen.near()) for one in ends for _ in range(2)]
        heard = [react(e) for e in (yield batch)]
        if all(heard[2 * i].answered or heard[2 * i + 1].answered for i in range(len(ends))):
            for i, one in enumerate(ends):
                one.between += heard[2 * i : 2 * i + 2]
            if waited:
                seen.residual.append(waited)
            seen.lasting = asker.waited > _MOST_WAITING
            return
    seen.lasting = True


def _sweep(seen: Seen, asker: _Asker) -> Part[None]:
    """Triggers and twins at every TTL, which chooses the place. Then triggers that should be reported before it and
    triggers that vanish behind it, together, until chance and the home are ruled out; whenever the place moves, that
    begins anew."""
    one = seen.swept_at = min(seen.live, key=lambda at: (not at.hit, not at.end.token, at.chance))
    top = min(_FARTHEST, seen.back() + 3)
    yield from _volley(seen, asker, one, range(1, top + 1))
    while seen.arrives is None and top < _FARTHEST:  # the way there is longer than the way back
        yield from _volley(seen, asker, one, range(top + 1, min(top + 6, _FARTHEST) + 1))
        top = min(top + 6, _FARTHEST)
    seen.fresh, seen.beyond = [], []
    for number in range(_CONFIRM):
        _place(seen, one)
        arrives, near, last = seen.arrives, seen.early_ttls(), seen.last_quoted
        if arrives is None or seen.lasting or not (seen.place or (near and seen.struck_with_ours())):
            break
        clean, first = (last, arrives) if seen.place is None else (seen.place.clean_ttl, seen.place.first_ttl)
        # A router between the two that never spoke may be silent; or its words got lost, so that it is worth asking.
        narrow = first in (clean + 1, arrives) or number >= _NARROW
        if narrow and (first == arrives or seen.vanish() or seen.short_of_target()) and seen.leave_home():
            break
        early = [near[-1 - i % min(len(near), _EARLY - 1)] for i in range(_EARLY if near else 0)]
        between = range(max(clean + 1, first - _NARROW), first)
        behind = (first, first, first, first + 1, first + 2) if not one.rejected else (first,) * 4
        yield from _volley(seen, asker, one, [*early, *(t for t in (*between, *behind) if t < arrives)], _BEYOND)
        if seen.last_quoted != last:
            seen.fresh, seen.beyond = [], []
    if one.hit and not seen.lasting:
        yield from _shortest_way(seen, asker, one)
    _place(seen, one)


def _shortest_way(seen: Seen, asker: _Asker, one: AtEnd) -> Part[None]:
    """What counts is how far the far end is at least: see whether some flows reach it sooner."""
    for _ in range(_CONFIRM):
        arrives = seen.arrives
        if arrives is None or arrives < 2:
            return
        ttl = arrives - 1
        batch: list[Step] = [asker.ask(one.end, trigger=False, wait=seen.near(), ttl=ttl) for _ in range(_WAYS)]
        for exchange in (yield batch):
            reaction = react(exchange)
            if reaction.answered:
                seen.twin_shots.append(shot(ttl, reaction, None))
        if seen.arrives == arrives:
            return


def _place(seen: Seen, one: AtEnd) -> None:
    if one.failed > 2 * one.rejected:
        seen.place = place_drop(seen.swept, seen.twin_shots, seen.routers, arrives=seen.arrives)
    else:
        limit = seen.arrives or 256
        telling = [s for s in seen.swept if s.ttl < limit or not s.elicited]
        seen.place = place(telling, seen.routers, arrives=seen.arrives)


def _volley(seen: Seen, asker: _Asker, one: AtEnd, ttls: Iterable[int], beyond: int = 0) -> Part[None]:
    """A trigger and a twin at each TTL, and so many of both at full TTL, in an order that chance draws: what one
    trigger does to the next must not depend on how far it goes. Then, for each, a harmless datagram of its flow and
    TTL, which asks for the router there. Not before: a filter may look only at the first datagram of a flow."""
    drawn = asker.shuffled([*ttls, *[FULL_TTL] * beyond])
    pairs = (True, False), (False, True)
    wanted = [(ttl, kind, asker.flow()) for i, ttl in enumerate(drawn) for kind in pairs[i % 2]]
    wait, heard = seen.near(), dict[str, Reaction]()
    for kinds in ((True,), (False,)) if seen.apart else ((True, False),):
        chosen = [(ttl, kind, flow) for ttl, kind, flow in wanted if kind in kinds]
        batch: list[Step] = [asker.ask(one.end, trigger=k, wait=wait, ttl=ttl, flow=flow) for ttl, k, flow in chosen]
        for (_, _, flow), exchange in zip(chosen, (yield batch), strict=True):
            heard[flow] = react(exchange)
        yield from _recover(seen, asker, [one])
        if seen.lasting:
            return
    seen.beyond += [heard[flow] for ttl, trigger, flow in wanted if ttl == FULL_TTL and trigger]
    wanted = [(ttl, trigger, flow) for ttl, trigger, flow in wanted if ttl != FULL_TTL]
    batch = [asker.ask(one.end, trigger=False, wait=wait, ttl=ttl, flow=flow, number=1) for ttl, _, flow in wanted]
    for (ttl, trigger, flow), exchange in zip(wanted, (yield batch), strict=True):
        probe = react(exchange)
        found = shot(ttl, heard[flow], probe.expired_at)
        (seen.swept if trigger else seen.twin_shots).append(found)
        if trigger:
            seen.fresh.append(found)
        if probe.expired_at is not None:
            seen.routers.setdefault(ttl, probe.expired_at)
        elif probe.answered:  # it only asked for its router, but that it arrived counts
            seen.twin_shots.append(shot(ttl, probe, None))
