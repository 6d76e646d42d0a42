"""Connections that are slowed down for the name they bear: against the same bytes with every bit flipped.

Rules and what fools them: `docs/measurements/throttling.md` (Li et al. 2019, Wehe; Xue et al. 2021).
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from probe.measurements import Context, Part, Steps, _far
from probe.measurements._throttle.ask import Asking
from probe.measurements._throttle.place import locate
from probe.measurements._throttle.stats import ks, ratio
from probe.measurements._throttle.verdict import TWICE, Compared, Located, accuse, kilobits, said, speeds
from probe.model.errors import UsageError
from probe.model.finding import Judgement, Target
from probe.model.reflector import Direction

VERSION = "2"

_GATE = 1.5  # times slower in the first round: reason enough to look closer
_SECOND = 4  # pairs of the second round at least …
_LAST = 9  # … and at most
_HARMLESS = 5  # transfers with a harmless name
_OFTEN = 0.06  # 3 against 3 is 1 in 20: enough to doubt, too little to accuse
_PORTS = {"tls": 443, "http": 80}
_DIRECTIONS: tuple[Direction, ...] = ("down", "up")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which name to bear, towards which far end."""

    target: Annotated[
        str, msgspec.Meta(description="Name (or URL) that may be slowed down.", min_length=1, max_length=1024)
    ]
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end, which the bytes come from.")] = ""
    control_name: Annotated[str, msgspec.Meta(description="A harmless name; empty: none is borne.")] = ""
    trigger: Annotated[
        Literal["tls", "http", ""], msgspec.Meta(description="What bears the name; empty: as the URL says, or tls.")
    ] = ""
    port: Annotated[
        int, msgspec.Meta(ge=0, le=65535, description="Port of the far end; 0: the trigger's usual one.")
    ] = 0
    kilobytes: Annotated[
        int, msgspec.Meta(ge=50, le=5000, description="Most kilobytes of one transfer (a run makes 12 to 60 of them).")
    ] = 150
    trials: Annotated[int, msgspec.Meta(ge=3, le=20, description="Pairs of the first round, each way.")] = 3
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Pairs in turn, both ways; where the name is slower, more pairs, harmless names, decoys, and a last pair."""
    name, trigger = _name(options)
    if not options.reflector:
        raise UsageError("throttling needs --reflector (a far end of ours)")
    port = options.port or _PORTS[trigger]
    target = Target(options.target, name, options.reflector, port, options.group)
    far = yield from _far.hello(options.reflector, context)
    if far is None:
        why = f"The far end {options.reflector} does not answer, neither over UDP nor over HTTP."
        return said("no-far-end", why, target, (), ())
    asking = Asking(
        far, context, name=name, harmless=options.control_name, trigger=trigger, port=port, kilobytes=options.kilobytes
    )
    first: list[Compared] = []
    for direction in _DIRECTIONS:
        for number in range(2 * options.trials):
            if min(map(len, _measured(asking, direction))) >= options.trials:
                break  # else a transfer did not get through: that may have been chance
            context.progress(f"{direction}load with and without {name}, {number + 1} of {options.trials}")
            yield from _pair(asking, direction, context)
        named, twins = _measured(asking, direction)
        first.append(Compared(direction, named, twins, max(len(named), len(twins))))
    early = _early(first, asking, target, name)
    if early is not None:
        return early
    worst = max(first, key=lambda one: one.slower)
    compared = yield from _second_round(asking, worst, context)
    if not compared.confirmed:
        return _unconfirmed(compared, asking, target, name)
    return (yield from _accused(asking, compared, target, name, options, context))


def _name(options: Options) -> tuple[str, Literal["tls", "http"]]:
    """The name and what bears it. Raises UsageError."""
    trigger: Literal["tls", "http"] = "http" if options.trigger == "http" else "tls"
    host = options.target.strip().rstrip(".")
    if "://" in host:
        parts = urlsplit(host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{options.target!r} is not an http:// or https:// address")
        if not options.trigger:
            trigger = "http" if parts.scheme == "http" else "tls"
        return parts.hostname, trigger
    if not host or any(c.isspace() or c in "/?#@:" for c in host):
        raise UsageError(f"{options.target!r} is neither a URL nor a host name")
    return host, trigger


def _pair(asking: Asking, direction: Direction, context: Context) -> Part[None]:
    """The name and its twin, in an order that chance chooses: nothing that comes and goes can follow it."""
    kinds: list[Literal["name", "twin"]] = ["name", "twin"]
    context.random.shuffle(kinds)
    for kind in kinds:
        yield from asking.move(kind, direction)


def _measured(asking: Asking, direction: Direction) -> tuple[list[float], list[float]]:
    """Rates with the name, and of its twins."""
    return speeds(asking.of("name", direction)), speeds(asking.of("twin", direction))


def _early(first: list[Compared], asking: Asking, target: Target, name: str) -> Judgement | None:
    """The judgement where the first round tells enough."""
    for one in first:
        made, named, twins = len(asking.of("twin", one.direction)), len(one.named), len(one.twins)
        if 2 * twins <= made:
            why = f"{made - twins} of {made} harmless {one.direction}loads did not get through either."
            return said("no-transfer", why, target, asking.all, first)
        if 2 * named <= made:
            why = (
                f"{made - named} of {made} {one.direction}loads that name {name} were cut off, not slowed down; of "
                f"their twins {made - twins} were. `colibri measure tcp-reset` tells more."
            )
            return said("cut-off", why, target, asking.all, first)
    if max(one.slower for one in first) >= _GATE:
        return None
    for one in first:
        if ratio(one.twins, one.named) >= TWICE and ks(one.twins, one.named) <= _OFTEN:
            why = f"{one.direction.capitalize()}loads that nobody knows were slower than those that name {name}."
            return said("unknown-slower", why, target, asking.all, first)
    words = " and ".join(f"{one.direction}loads at {kilobits(sorted(one.named)[len(one.named) // 2])}" for one in first)
    return said("alike", f"With {name} and without, the bytes were as fast: {words}.", target, asking.all, first)


def _second_round(asking: Asking, worst: Compared, context: Context) -> Part[Compared]:
    """More pairs, until they confirm it or it is hopeless."""
    compared = worst
    for number in range(_LAST):
        context.progress(f"{worst.direction}loads look slower with the name: once more ({number + 1})")
        yield from _pair(asking, worst.direction, context)
        compared = Compared(worst.direction, *_measured(asking, worst.direction), worst.first)
        if number + 1 >= _SECOND and (compared.confirmed or compared.slower < _GATE):
            break
    return compared


def _unconfirmed(compared: Compared, asking: Asking, target: Target, name: str) -> Judgement:
    rule = "unsteady" if compared.slower >= TWICE else "slightly-slower"
    why = (
        f"{compared.direction.capitalize()}loads that name {name} were {compared.slower:.1f} times slower than their "
        f"twins, which chance, or others on the line, may do as well ({len(compared.named)} pairs, once in "
        f"{1 / max(compared.chance, 1e-9):,.0f} runs)."
    )
    return said(rule, why, target, asking.all, [compared])


def _accused(
    asking: Asking, compared: Compared, target: Target, name: str, options: Options, context: Context
) -> Steps:
    """Harmless names, decoys, a last pair: what it is about, where, and whether it still goes on."""

    def doubt(rule: str, why: str) -> Judgement:
        return said(rule, why, target, asking.all, [compared])

    direction, cut = compared.direction, compared.cut
    context.progress("the same with a harmless name")
    for _ in range(_HARMLESS):
        yield from asking.move("harmless", direction)
    harmless = speeds(asking.of("harmless", direction))
    fast = sum(speed >= cut for speed in harmless)
    if len(harmless) < _HARMLESS or 1 < fast < _HARMLESS - 1:
        why = f"With a harmless name, {fast} of {_HARMLESS} were fast: what it is that is slowed down is not clear."
        return doubt("mixed", why)
    located = yield from locate(asking, compared, options.reflector, target.port, context)
    twin = yield from asking.move("twin", direction)
    last = yield from asking.move("name", direction)
    if twin.speed is None or twin.speed < cut:
        return doubt("twin-slow-after", "At the end, the twin was slow as well: something else has changed meanwhile.")
    if last.speed is None or last.speed >= cut:
        return doubt("over", f"At the end, {name} was fast again: it has ended, or was not what it seemed.")
    if located.place is None or located.home or not located.ahead:
        return doubt(*_nowhere(located, compared))
    return accuse("name" if fast > 1 else "protocol", target, name, compared, located, asking.all)


def _nowhere(located: Located, compared: Compared) -> tuple[str, str]:
    slower = f"It is {compared.slower:.1f} times slower with the name"
    if located.place is None:
        return "not-placed", f"{slower}, but no packet that dies on the way brings it about: who does it is not known."
    if located.home:
        return "at-home", f"{slower}, and that may be the home router's own doing."
    return "at-far-end", f"{slower}, and that may happen in the far end's own network."
