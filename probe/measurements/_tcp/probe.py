"""Asks one TCP trigger of a line: harmless twins before and after, trials, TTL sweep. `_tcp.verdict` judges."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import msgspec

from probe.measurements import Part
from probe.measurements._judge import hops_away
from probe.measurements._locate import AGREE, PAIRS, SHORT_BY, TRIAL_TTLS, Shot, again, place, place_drop, sweep
from probe.measurements._tcp.seen import Seen
from probe.measurements._tcp.triggers import Reaction, Trigger, path, react, shot
from probe.model.baseline import Usual
from probe.model.exchange import FULL_TTL, Exchange, PauseStep, Step, TcpStep

_FARTHEST = 30
_MOST_TRIALS = 9
_SPEAK = 4.0  # seconds for a server's first words: a slow one is not an absent one
_VANISHED = 0.8  # seconds after which a trigger with no echo at all is taken for gone: two retransmissions
_CONFIRM = 4  # rounds at the most that rule out chance
_DROPS = 7  # rounds at the most that find where triggers vanish, and rule out chance and the home
_EARLY = 4  # triggers of each such round that should still be reported
_PAUSES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # residual blocking seen in the field lasts up to three minutes

_LONGEST = 300.0  # seconds that a measurement may wait in all


class Plan(msgspec.Struct, frozen=True):
    """Whom to ask what: ``twin`` is the harmless host, ``control`` an address of ours that answers any host;
    ``usual`` what this line knows of the address."""

    trigger: Trigger
    address: str
    twin: str
    control: str
    trials: int
    locate: bool
    usual: Usual = Usual()


def ask(plan: Plan, random: Random) -> Part[Seen]:
    """The whole protocol for one trigger. Returns what was seen, unjudged."""
    seen = Seen(plan.trigger, plan.address, plan.twin, plan.control)
    seen.usual = plan.usual
    yield from _twins(plan, random, seen.before, plan.trials)
    if not any(r.worked for r in seen.before):
        return seen  # nothing to compare with: the trigger need not be sent at all
    for _ in range(max(1, _MOST_TRIALS // plan.trials)):
        if seen.unopened():
            yield from _one_by_one(plan, seen, random)
        else:
            yield from _trials(plan, seen, random)
        yield from recover(plan, seen, random)
        if seen.residual and not seen.burst and not seen.lasting:
            yield from _burst(plan, seen, random)
        if seen.settled(AGREE) or seen.lasting or seen.shuts_out_many(AGREE):
            break
    if seen.shuts_out_many(AGREE):
        return seen
    if (plan.locate or seen.suspicious()) and not seen.lasting:
        yield from _sweep(plan, seen, random)
        yield from recover(plan, seen, random)
    if not seen.lasting:
        yield from _twins(plan, random, seen.after, plan.trials)
    return seen


def _step(plan: Plan, payload: bytes, address: str, *, ttl: int = FULL_TTL, path: tuple[int, ...] = (),
          wait: float = _SPEAK, linger: float = 0.05) -> TcpStep:  # fmt: skip
    return TcpStep(
        address=address, port=plan.trigger.port, payload=payload, ttl=ttl, path=path, wait=wait, linger=linger
    )


def _twins(plan: Plan, random: Random, into: list[Reaction], count: int) -> Part[None]:
    payload = plan.trigger.payload(random, plan.twin)
    exchanges = yield [_step(plan, payload, plan.address) for _ in range(count)]
    into += [react(e) for e in exchanges]


def _trials(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """The trigger to the target and to our own server, and trigger and twin at TTLs that fall just short of the target.
    Full TTLs differ, so that a box that copies them shows; the first flow also asks for its routers."""
    wait, linger = seen.patience(), seen.linger()
    reach = hops_away(seen.least_synack_ttl()) + 1
    batch: list[Step] = []
    ttls = [TRIAL_TTLS[i % len(TRIAL_TTLS)] for i in range(plan.trials)]
    for i, ttl in enumerate(ttls):
        trace = tuple(range(1, min(_FARTHEST, reach + 2) + 1)) if i == 0 and not seen.routers else ()
        payload = plan.trigger.payload(random)
        batch.append(_step(plan, payload, plan.address, ttl=ttl, path=trace, wait=wait, linger=linger))
    if plan.control:
        for host in (None, plan.twin):
            payload = plan.trigger.payload(random, host)
            batch += [_step(plan, payload, plan.control, wait=wait, linger=linger) for _ in range(plan.trials)]
    short = [ttl for ttl in (reach - by for by in SHORT_BY) if ttl > 1]
    for ttl in short:
        for host in (None, plan.twin):
            payload = plan.trigger.payload(random, host)
            batch.append(_step(plan, payload, plan.address, ttl=ttl, wait=min(wait, seen.near()), linger=linger))
    exchanges = iter((yield batch))
    for ttl in ttls:
        exchange = next(exchanges)
        reaction = react(exchange)
        seen.trials.append(reaction)
        seen.full.append(shot(ttl, exchange, reaction))
        if not seen.routers:
            seen.routers = path(exchange)
    if plan.control:
        seen.control_trials += [react(next(exchanges)) for _ in range(plan.trials)]
        seen.control_twins += [react(next(exchanges)) for _ in range(plan.trials)]
    for ttl in short:
        seen.short.append((ttl, react(next(exchanges)), react(next(exchanges))))


def _one_by_one(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """Triggers apart: side by side, the first one shut out the others (a filter that blocks the server for a while)."""
    for i in range(plan.trials):
        ttl = TRIAL_TTLS[i % len(TRIAL_TTLS)]
        yield from recover(plan, seen, random)
        if seen.lasting:
            return
        payload, wait, linger = plan.trigger.payload(random), seen.patience(), seen.linger()
        exchanges = yield [_step(plan, payload, plan.address, ttl=ttl, wait=wait, linger=linger)]
        reaction = react(exchanges[0])
        seen.trials.append(reaction)
        seen.full.append(shot(ttl, exchanges[0], reaction))


def _burst(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """As many harmless connections at once as controls and trials opened: a server that bans who opens many looks just
    like a filter that goes on blocking for a while."""
    yield from _twins(plan, random, seen.burst, 2 * plan.trials + 2 * len(SHORT_BY) + 1)
    if not seen.shuts_out_many(AGREE):
        yield from recover(plan, seen, random)


def recover(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """Residual blocking: wait until the harmless twin works again, and note how long that took. No more than the pauses
    allow: then it is ``lasting``. One twin is also the control between trials and sweeps."""
    waited = 0.0
    for pause in (0.0, *_PAUSES):
        if pause:
            if seen.waited + pause > _LONGEST:
                break
            yield [PauseStep(seconds=pause)]
            waited += pause
            seen.waited += pause
        fresh: list[Reaction] = []
        yield from _twins(plan, random, fresh, 1)
        if fresh[0].worked:
            seen.between += fresh
            if waited:
                seen.residual.append(waited)
            return
        if not (seen.suspicious() or seen.unopened() or waited):
            seen.between += fresh
            return
    seen.lasting = True


def _sweep(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """Twins at every TTL, which tell what arrives; then triggers; then both at the place, until chance is ruled out.

    Twins and triggers go apart: where a trigger blocks whoever sent it for a while, it would take the twins with it.
    """
    reach = hops_away(seen.least_synack_ttl()) + 1
    top = min(_FARTHEST, reach + 2)
    yield from _sweep_twins(plan, seen, random, range(1, top + 1))
    while seen.arrives is None and top < _FARTHEST:  # the way there is longer than the way back
        yield from _sweep_twins(plan, seen, random, range(top + 1, min(top + 6, _FARTHEST) + 1))
        top = min(top + 6, _FARTHEST)
    ttls = range(1, max(seen.arrives or top, 2))
    if seen.vanishing():
        yield from _find_drop(plan, seen, random, ttls)
    else:
        yield from _find_answer(plan, seen, random, ttls)


def _sweep_twins(plan: Plan, seen: Seen, random: Random, ttls: Iterable[int]) -> Part[None]:
    """Harmless twins at these TTLs; where a drop is looked for, like the triggers there, each with its own router."""
    wanted = list(ttls)
    payload = plan.trigger.payload(random, plan.twin)
    wait, linger, vanishing = seen.near(), seen.linger(), seen.vanishing()
    batch: list[Step] = [
        _step(plan, payload, plan.address, ttl=t, wait=wait, linger=linger, path=(t,) if vanishing else ())
        for t in wanted
    ]
    for ttl, exchange in zip(wanted, (yield batch), strict=True):
        reaction = react(exchange)
        seen.swept_twins.append((ttl, reaction))
        seen.twin_shots.append(shot(ttl, exchange, reaction))
        if reaction.expired_at is not None:
            seen.routers.setdefault(ttl, reaction.expired_at)


def _find_answer(plan: Plan, seen: Seen, random: Random, ttls: Iterable[int]) -> Part[None]:
    """Where triggers are answered."""

    def make(ttl: int, number: int) -> list[Step]:
        # In the first sweep the twins have shown the routers; later ones name both ends of the link on the trigger's
        # own flow, which also proves that a packet with this TTL dies there.
        own = () if number == 0 else (ttl,) if ttl == 1 else (ttl - 1, ttl)
        payload = plan.trigger.payload(random)
        return [_step(plan, payload, plan.address, ttl=ttl, wait=seen.near(), linger=seen.linger(), path=own)]

    def read(ttl: int, exchanges: list[Exchange]) -> Shot:
        return _read(seen, ttl, exchanges[0])

    def between(_number: int) -> Part[bool]:
        yield from recover(plan, seen, random)
        return not seen.lasting

    yield from sweep(ttls, make, read, between)
    seen.place = place(seen.telling(), seen.routers, full=seen.odd_full(), arrives=seen.arrives)
    if seen.place is not None and seen.place.mirrored and not seen.lasting:
        yield from _shortest_way(plan, seen, random)
    for _ in range(_CONFIRM):
        seen.place = place(seen.telling(), seen.routers, full=seen.odd_full(), arrives=seen.arrives)
        arrives, lucky = seen.arrives, seen.spared_by_luck()
        if seen.lasting or seen.place is None or arrives is None or (seen.short_of_target() and not lucky):
            break
        ttl = seen.place.first_ttl
        if ttl >= arrives:
            break
        yield from recover(plan, seen, random)
        yield from _sweep_twins(plan, seen, random, [ttl] * PAIRS)
        wanted = again(ttl, arrives, lucky=lucky)
        exchanges = yield [step for one in wanted for step in make(one, 1)]
        for one, exchange in zip(wanted, exchanges, strict=True):
            read(one, [exchange])
    seen.place = place(seen.telling(), seen.routers, full=seen.odd_full(), arrives=seen.arrives)


def _shortest_way(plan: Plan, seen: Seen, random: Random) -> Part[None]:
    """A box that copies TTLs is judged by how far the target is: see whether some connections reach it sooner."""
    for _ in range(_CONFIRM):
        arrives = seen.arrives
        if arrives is None or arrives < 2:
            return
        yield from recover(plan, seen, random)
        yield from _sweep_twins(plan, seen, random, [arrives - 1] * 2 * PAIRS)
        if seen.arrives == arrives:
            return


def _find_drop(plan: Plan, seen: Seen, random: Random, ttls: Iterable[int]) -> Part[None]:
    """Where triggers vanish. Twins and triggers take turns at going first: a router that may send only so many ICMP
    errors must not spend them on one kind alone. Each asks for its own router first: whether that one shows itself
    tells which connections may be compared.

    The first sweep chooses the place. From then on triggers that should be reported before it and triggers that vanish
    behind it go together, until chance and the home are ruled out; whenever the place moves, that begins anew.
    """
    wanted, early, beyond = list(ttls), list[int](), 0
    for number in range(_DROPS):
        if number and number % 2 == 0:
            yield from _sweep_twins(plan, seen, random, wanted)
        last = seen.last_quoted
        fresh, far = yield from _vanish(plan, seen, random, [*early, *wanted], beyond)
        yield from recover(plan, seen, random)
        if seen.lasting:
            break
        if number % 2:
            yield from _sweep_twins(plan, seen, random, wanted)
        if number == 0 or seen.last_quoted != last:
            seen.fresh, seen.beyond = [], []
        else:
            seen.fresh += fresh
            seen.beyond += far
        seen.place = place_drop(seen.swept, seen.twin_shots, seen.routers, arrives=seen.arrives)
        arrives, at_control = seen.arrives, seen.control_hits("silent") >= AGREE
        near = seen.early_ttls()
        if arrives is None or (seen.place is None and not (near and at_control)):
            break
        if number and seen.leave_home() and (seen.place is None or seen.vanishes(AGREE)):
            break
        first = seen.place.first_ttl if seen.place is not None else arrives
        wanted = [ttl for ttl in (first, first, first + 1, first + 2) if ttl < arrives]
        early = [near[-1 - i % min(len(near), _EARLY - 1)] for i in range(_EARLY if near else 0)]
        beyond = plan.trials if at_control else 0


def _vanish(
    plan: Plan, seen: Seen, random: Random, ttls: list[int], beyond: int
) -> Part[tuple[list[tuple[Shot, Reaction]], list[Reaction]]]:
    """A trigger at each TTL, and so many at full TTL to our own server, in an order that chance draws: what one does to
    the next must not depend on how far it goes. Those that were not sent (whoever blocks all for a while) don't count.
    """
    payload, wait = plan.trigger.payload(random), max(_VANISHED, seen.near())
    asked: list[int] = [*ttls, *[FULL_TTL] * beyond]
    order = random.sample(range(len(asked)), len(asked))
    batch: list[Step] = [
        _step(plan, payload, plan.address, ttl=asked[i], wait=wait, path=(asked[i],)) if i < len(ttls)
        else _step(plan, payload, plan.control, wait=wait)
        for i in order
    ]  # fmt: skip
    heard = dict(zip(order, (yield batch), strict=True))
    shots = [(_read(seen, ttl, heard[i]), react(heard[i])) for i, ttl in enumerate(ttls)]
    far = [react(heard[i]) for i in range(len(ttls), len(asked))]
    return [(s, r) for s, r in shots if r.sent], [r for r in far if r.sent]


def _read(seen: Seen, ttl: int, exchange: Exchange) -> Shot:
    """Note what a swept trigger did."""
    reaction = react(exchange)
    fresh = shot(ttl, exchange, reaction)
    seen.swept_reactions.append((ttl, reaction))
    seen.swept.append(fresh)
    return fresh
