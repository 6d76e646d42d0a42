"""Forged DNS answers that race the real one, or replace it.

Rules and what fools them: `docs/measurements/dns_injection.md` (GFWatch, Satellite, OONI tq-001 … tq-005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from probe.measurements import Context, Part, Steps
from probe.measurements._dns.queries import Asker, Reply, replies, shot
from probe.measurements._dns.seen import Seen
from probe.measurements._dns.verdict import judge
from probe.measurements._judge import hops_away
from probe.measurements._locate import PAIRS, SHORT_BY, TRIAL_TTLS, Place, Shot, again, expired_at, place, sweep
from probe.measurements._together import together
from probe.model.errors import UsageError
from probe.model.exchange import Exchange, ListenStep, Step, UdpStep

VERSION = "5"

_FIRST_ANSWER = 4.0  # seconds: a slow resolver is not an absent one
_MOST_TRIALS = 9
_NEED = 3  # agreeing trials before anything is claimed
_CONFIRM = 4  # rounds at the most that rule out chance
_FLOWS = 4  # on which to look for whoever acts on some flows, or now and then, until he shows himself
_NO_PORT = 33434  # where traceroute begins: nothing listens there
_FARTHEST = 30  # no path on the Internet is longer


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to ask, whom, and what must be harmless."""

    target: Annotated[str, msgspec.Meta(description="Name that may be filtered.", min_length=1, max_length=253)]
    resolver: Annotated[str, msgspec.Meta(description="Address of a resolver that is asked for it.")] = ""
    silent: Annotated[str, msgspec.Meta(description="Address that runs no resolver: any answer from it is forged.")] = (
        ""
    )
    control_name: Annotated[str, msgspec.Meta(description="A harmless name that the resolver knows.")] = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="UDP port of the resolver.")] = 53
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Trials of each kind.")] = 3
    listen: Annotated[float, msgspec.Meta(ge=0.2, le=30, description="Seconds to listen after the first answer.")] = 2.0
    locate: Annotated[bool, msgspec.Meta(description="Sweep TTLs even where nothing looks odd.")] = False
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Controls, trials (more where they disagree), a TTL sweep where something is odd, controls again; then judge."""
    if not options.control_name or not (options.resolver or options.silent):
        raise UsageError("dns-injection needs --control-name, and --resolver or --silent (better: both)")
    asker = Asker(context.random, options.port)
    seen = Seen(options.target, options.resolver, options.silent, options.control_name, options.group)
    seen.usual = context.baseline.of(options.resolver)
    context.progress(f"asking for {options.control_name} (control)")
    yield from _controls(options, seen, asker, "before")
    context.progress(f"asking for {options.target}")
    open_: list[_Open] = []
    for round_ in range(_MOST_TRIALS // options.trials or 1):
        open_ = yield from _trials(options, seen, asker, round_)
        if not (seen.struck(_NEED) and seen.settled(_NEED)):
            open_ = yield from _hear_out(open_)
        if seen.settled(_NEED):
            break
    if options.locate or seen.suspicious():
        context.progress("finding out where the answers come from")
        yield from _sweep(options, seen, asker)
    yield from together([_controls(options, seen, asker, "after"), _hear_out(open_)])
    return judge(seen, _NEED)


def _patience(seen: Seen) -> float:
    """Seconds after which an answer from nearby would have come: a few of the line's own round trips."""
    return min(2.0, max(0.4, 5 * seen.round_trip()))


def _controls(o: Options, seen: Seen, asker: Asker, phase: str) -> Part[None]:
    """The harmless name: the resolver must answer it and, afterwards again, the silent address must not."""
    batch: list[Step] = []
    if o.resolver:
        batch += [
            asker.ask(o.control_name, o.resolver, flow=f"{phase}{i}", wait=_FIRST_ANSWER) for i in range(o.trials)
        ]
    asked = len(batch)
    if o.silent and (phase == "after" or not o.resolver):
        wait = _patience(seen)
        batch += [asker.ask(o.control_name, o.silent, flow=f"{phase}{i}", wait=wait) for i in range(o.trials)]
    exchanges = yield batch
    if o.resolver:
        seen.resolver_controls.append([replies(e) for e in exchanges[:asked]])
    seen.silent_controls += [replies(e) for e in exchanges[asked:]]


class _Open(NamedTuple):
    """A trial that is listened to no longer for the moment: until when it may still be answered (seconds after it was
    asked for), and who is told all that it got."""

    step: UdpStep
    until: float
    tell: Callable[[Exchange], None]


def _hear_out(open_: list[_Open]) -> Part[list[_Open]]:
    """Listen to trials to the end, what comes late was heard meanwhile; then none is open."""
    if open_:
        exchanges = yield [ListenStep(of=one.step, seconds=one.until) for one in open_]
        for one, exchange in zip(open_, exchanges, strict=True):
            one.tell(exchange)
    return []


def _trials(o: Options, seen: Seen, asker: Asker, round_: int) -> Part[list[_Open]]:
    """The name in question to the resolver and to the silent address, the harmless one to the silent address, and both
    at TTLs that fall just short of the resolver, side by side. They are listened to for a moment, which shows whoever
    answers at once; the rest of the time is in what is returned."""
    parts: list[Part[list[_Open]]] = []
    if o.resolver:
        parts += [_at_resolver(o, seen, asker, round_), _short(o, seen, asker, round_)]
    if o.silent:
        parts.append(_at_silent(o, seen, asker, round_))
    return [one for open_ in (yield from together(parts)) for one in open_]


def _flows(o: Options, round_: int) -> list[tuple[int, str]]:
    """(TTL, flow) of each trial: TTLs of full length differ, so that a box that copies them shows."""
    return [(TRIAL_TTLS[i % len(TRIAL_TTLS)], f"trial{round_}.{i}") for i in range(o.trials)]


def _at_resolver(o: Options, seen: Seen, asker: Asker, round_: int) -> Part[list[_Open]]:
    moment = min(o.listen, _patience(seen))
    steps = [
        asker.ask(o.target, o.resolver, flow=flow, ttl=ttl, wait=_FIRST_ANSWER, linger=moment)
        for ttl, flow in _flows(o, round_)
    ]
    exchanges = yield list(steps)
    return [_entered(seen.resolver_trials, seen.full, *pair, o.listen) for pair in zip(steps, exchanges, strict=True)]


def _at_silent(o: Options, seen: Seen, asker: Asker, round_: int) -> Part[list[_Open]]:
    moment, linger, flows = min(o.listen, _patience(seen)), o.listen / 4, _flows(o, round_)
    trials = [asker.ask(o.target, o.silent, flow=flow, ttl=ttl, wait=moment, linger=linger) for ttl, flow in flows]
    controls = [asker.ask(o.control_name, o.silent, flow=f"c{flow}", wait=moment) for _, flow in flows]
    exchanges = yield [*trials, *controls]
    pairs = zip(trials, exchanges, strict=False)
    open_ = [_entered(seen.silent_trials, seen.full_silent, *pair, o.listen) for pair in pairs]
    harmless: list[Shot] = []
    rest = zip(controls, exchanges[len(trials) :], strict=True)
    return open_ + [_entered(seen.silent_controls, harmless, *pair, o.listen) for pair in rest]


def _entered(
    trials: list[list[Reply]], shots: list[Shot], step: UdpStep, exchange: Exchange, listen: float
) -> _Open:
    """Enter a trial among others; what it gets later will stand in its place."""
    place, shot_place = len(trials), len(shots)

    def tell(heard: Exchange) -> None:
        trials[place : place + 1] = [replies(heard)]
        shots[shot_place : shot_place + 1] = [shot(step.ttl, heard, None)]

    tell(exchange)
    first = exchange.answers[0].at if exchange.answers else 0.0
    return _Open(step, round(first + listen, 3), tell)


def _short(o: Options, seen: Seen, asker: Asker, round_: int) -> Part[list[_Open]]:
    usual = seen.usual_ttls()
    if usual is None:
        return []
    reach = hops_away(usual[1]) + 1  # the TTL that just arrives, if the way back is as long as the way there
    exchanges = yield [
        asker.ask(name, o.resolver, flow=f"short{round_}", ttl=ttl, wait=_patience(seen), linger=0.1)
        for ttl in (reach - by for by in SHORT_BY)
        if ttl > 1
        for name in (o.target, o.control_name)
    ]
    answered = [bool(replies(exchange)) for exchange in exchanges]
    seen.short += zip(answered[::2], answered[1::2], strict=True)
    return []


def _sweep(o: Options, seen: Seen, asker: Asker) -> Part[None]:
    """Both names at every TTL on one flow, towards the address that looked odd; on others where that shows nobody."""
    at_silent = bool(o.silent) and (seen.from_silent() > 0 or not o.resolver)
    address = o.silent if at_silent else o.resolver
    reach = hops_away(usual[0]) + 1 if (usual := seen.usual_ttls()) is not None else 16
    top = min(_FARTHEST, max(reach + 4, 8))
    wait, linger = max(_patience(seen), min(4.0, 1.5 * seen.lateness())), min(1.0, 0.1 + 2 * seen.round_trip())
    seen.at_silent = at_silent
    flow = "sweep"

    def make(ttl: int, _number: int) -> list[Step]:
        return [
            asker.ask(name, address, flow=flow, ttl=ttl, wait=wait, linger=linger)
            for name in (o.target, o.control_name)
        ]

    def read(ttl: int, exchanges: list[Exchange]) -> Shot:
        trigger, control = exchanges
        seen.swept_twins.append((ttl, bool(replies(control))))
        if (router := expired_at(control)) is not None:
            seen.routers.setdefault(ttl, router)
        seen.swept.append(shot(ttl, trigger, control))
        seen.swept_replies.append(replies(trigger))
        return seen.swept[-1]

    def locate() -> Place | None:
        full = seen.full_silent if at_silent else seen.odd_full()
        return place(seen.telling(), seen.routers, full=full, arrives=seen.arrives)

    for number in range(_FLOWS):
        flow = f"sweep{number or ''}"
        yield from sweep(range(1, top + 1), make, read)
        seen.place = locate()
        if any(shot.elicited for shot in seen.telling()) or not seen.struck(_NEED):
            break
    if any(answered for _, answered in seen.swept_twins if at_silent) or seen.arrives == 1:
        yield from _plain_path(seen, address, top)
    elif at_silent and seen.place is not None and not seen.before_silent():
        yield from _plain_path(seen, address, top)  # errors get lost: how far the address is must not depend on one
    seen.place = locate()
    if seen.place is not None and seen.place.mirrored and not at_silent:
        yield from _shortest_way(o, seen, asker)
    yield from _confirm(seen, make, read, locate)


def _confirm(
    seen: Seen,
    make: Callable[[int, int], list[Step]],
    read: Callable[[int, list[Exchange]], Shot],
    locate: Callable[[], Place | None],
) -> Part[None]:
    """More of both names at the place, until chance is ruled out."""
    for _ in range(_CONFIRM):
        arrives, lucky = 256 if seen.at_silent else seen.arrives, seen.spared_by_luck()
        if seen.place is None or arrives is None or seen.place.first_ttl >= arrives:
            return
        if not lucky and (seen.place.mirrored or seen.at_silent or seen.proven()):
            return
        ttl = seen.place.first_ttl
        wanted = again(ttl, arrives, lucky=lucky)
        exchanges = iter((yield [step for one in wanted for step in make(one, 1)]))
        for one, trigger, control in zip(wanted, exchanges, exchanges, strict=True):
            read(one, [trigger, control])
        seen.place = locate()


def _shortest_way(o: Options, seen: Seen, asker: Asker) -> Part[None]:
    """A box that copies TTLs is judged by how far the resolver is: see whether some flows reach it sooner."""
    for number in range(_CONFIRM):
        arrives = seen.arrives
        if arrives is None or arrives < 2:
            return
        ttl, wait = arrives - 1, _patience(seen)
        flows = [f"way{number}.{i}" for i in range(2 * PAIRS)]
        batch: list[Step] = [asker.ask(o.control_name, o.resolver, flow=f, ttl=ttl, wait=wait) for f in flows]
        seen.swept_twins += [(ttl, bool(replies(exchange))) for exchange in (yield batch)]
        if seen.arrives == arrives:
            return


def _plain_path(seen: Seen, address: str, top: int) -> Part[None]:
    """The routers towards an address, by datagrams that nobody takes for DNS: where every query is answered, queries
    show none."""
    batch: list[Step] = [
        UdpStep(
            address=address,
            port=_NO_PORT,
            payload=b"colibri" + bytes((ttl,)),
            ttl=ttl,
            flow="path",
            wait=_patience(seen),
        )
        for ttl in range(1, top + 1)
    ]
    for exchange in (yield batch):
        router = expired_at(exchange)
        if router is not None and isinstance(exchange.step, UdpStep):
            seen.routers.setdefault(exchange.step.ttl, router)
