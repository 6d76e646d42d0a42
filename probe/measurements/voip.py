"""Calls that never connect, lose their sound, or are rewritten: signalling, STUN and media, each beside its twin.

Rules and what fools them: `docs/measurements/voip.md` (RFC 3261, 8489, 8656, 3550; ITU-T G.107).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec

from probe.measurements import Context, Part, Steps, _far
from probe.measurements._together import together
from probe.measurements._voip.alg import place_gateway, rewritten
from probe.measurements._voip.ask import Line, Stopwatch
from probe.measurements._voip.call import OVER_TCP
from probe.measurements._voip.grid import Protocol
from probe.measurements._voip.media import BEGINNING, LASTING, SPARSE, Stream
from probe.measurements._voip.seen import QUESTIONS, Finding, Seen
from probe.measurements._voip.service import Asked, Endpoint, Side, ask, endpoint, resolve
from probe.measurements._voip.suspects import SENDING, locate_all, locate_udp
from probe.measurements._voip.verdict import judge
from probe.model.errors import UsageError

VERSION = "9"

_PAIRS = 5  # calls of each kind in one round
_SHORT, _LONG = BEGINNING, 10.0  # seconds of sound: a stream that begins, and a call that lasts
_BEGIN = 4  # streams of each kind that begin
_ROUND, _ENDING, _PLACE = 8.0, 1.0, 7.0  # seconds: a round of calls, behind a stream's last packet, a sweep
_SWEEPS = 8  # rounds of a sweep that show a place on a line that loses one packet in ten
_SOUND = frozenset({"rtp", "rtp_long"})
_LONG_MORE = 5  # streams of each kind, side by side, that show whether calls that last are cut


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose calls, by which far end, and how many."""

    target: Annotated[
        str,
        msgspec.Meta(
            description="Whom calls are for: a service's name, a server's address, or the reflector's.",
            min_length=1, max_length=256,
        ),
    ]  # fmt: skip
    reflector: Annotated[str, msgspec.Meta(description="Address of our far end (colibri reflector run).")] = ""
    relays: Annotated[
        list[str],
        msgspec.Meta(description="What calls need: endpoints KIND:HOST@ADDRESS:PORT (stun, turn, sip, udp, tls, tcp)."),
    ] = []
    chat: Annotated[list[str], msgspec.Meta(description="What text needs: endpoints, as for relays.")] = []
    resolver: Annotated[str, msgspec.Meta(description="Resolver for endpoints without an address.")] = ""
    calls: Annotated[
        int, msgspec.Meta(ge=5, le=50, description="Most calls of each kind, where only some of them fail.")
    ] = 10
    group: Annotated[str, msgspec.Meta(description="Group of the target, for the report.")] = ""


def measure(options: Options, context: Context) -> Steps:
    """Calls, sound, more of both where something fails, where it happens, the service itself, twins again; judge."""
    if not options.reflector:
        raise UsageError("voip needs --reflector: the far end that calls are compared with")
    relays, chat = _endpoints(options)
    seen = Seen(options.target, options.reflector, options.group)
    context.progress(f"greeting the reflector {options.reflector}")
    watch = Stopwatch(options.calls)
    far = yield from watch.during(_far.hello(options.reflector, context))
    if far is None:
        return judge(seen)
    line = Line(far, context)
    context.progress("setting up calls, on well-known ports and others, real ones and twins")
    seen.unserved = line.unserved()
    if served := line.served():
        yield from _calls(line, seen, watch, served)
    if not seen.udp_dead():
        context.progress("playing sound both ways")
        yield from _sound(line, seen, watch)
        yield from _more(line, seen, watch, context, options.calls)
        yield from watch.during(_gateway(line, seen))
        yield from _locate(line, seen, watch, context)
    else:
        context.progress("no datagram comes back: finding out where they end")
        seen.dns = yield from line.name_queries()
        seen.udp = yield from locate_udp(line, seen)
    yield from _service(options, seen, relays, chat, context)
    yield from together([_after(line, seen), _reports(line, seen)])
    return (yield from _far.unless_spread(judge(seen), far, context))


def _endpoints(options: Options) -> tuple[list[Endpoint], list[Endpoint]]:
    """What calls and chat need; of a bare address that is not the reflector's, its STUN and SIP."""
    relays, chat = [endpoint(text) for text in options.relays], [endpoint(text) for text in options.chat]
    if relays or chat or options.target == options.reflector:
        return relays, chat
    try:
        return [endpoint(f"{kind}:[{options.target}]") for kind in ("stun", "sip")], []
    except UsageError:
        return [], []  # a name for the report


def _calls(line: Line, seen: Seen, watch: Stopwatch, protocols: Sequence[Protocol]) -> Part[None]:
    """A round of calls of those kinds."""
    calls = line.calls(protocols, _PAIRS)
    parts = [
        line.caller.dial([c for c in calls if c.protocol not in OVER_TCP]),
        line.caller.connect([c for c in calls if c.protocol in OVER_TCP]),
    ]
    for said in (yield from watch.during(together(parts))):
        seen.take(said)


def _sound(line: Line, seen: Seen, watch: Stopwatch) -> Part[None]:
    """What every run plays, however long its calls took: streams that begin, four of each kind, then one that lasts."""
    if not line.media_ports():
        return
    for _ in range(_BEGIN // 2):
        seen.play((yield from watch.during(line.streams(2, SPARSE, _SHORT))))
    if not seen.grids["rtp"].explain(QUESTIONS):  # sound that does not even begin need not last
        seen.play((yield from watch.during(line.lasting(_LONG))))


def _more(line: Line, seen: Seen, watch: Stopwatch, context: Context, most: int) -> Part[None]:
    """More of what fares unevenly, until that is explained, enough was made, or no time is left.

    Sound that begins and then stops goes first: nothing else shows it. What is left open in the end is noted.
    """
    while True:
        explained = {name for name, grid in seen.grids.items() if grid.explain(QUESTIONS)}
        seen.left_open = [name for name in seen.grids if _is_open(seen, name, most, explained)]
        room, seconds = watch.left - _placing(seen), _until_cut(seen.streams)
        calls = [p for p in line.served() if p in seen.left_open]
        lasting = "rtp_long" in seen.left_open and room > seconds + _ENDING
        if lasting and seen.real_cut(_SHORT):
            context.progress("sound stops: more calls that last")
            seen.play((yield from watch.during(line.streams(_LONG_MORE, SPARSE, seconds, known=False))))
        elif calls and room > _ROUND:
            yield from _calls(line, seen, watch, calls)
        elif ("rtp" in seen.left_open or _lone(seen, most, explained)) and room > _SHORT + _ENDING:
            seen.play((yield from watch.during(line.streams(2, SPARSE, _SHORT))))
        elif lasting:
            seen.play((yield from watch.during(line.streams(_LONG_MORE, SPARSE, seconds, known=False))))
        else:
            return


def _is_open(seen: Seen, name: str, most: int, explained: Collection[str]) -> bool:
    """Whether more calls of that kind may explain why they fare differently, and may still be made. ``explained``: the
    kinds of which that is known; of sound, what explains streams that begin or those that last explains both."""
    grid = seen.grids[name]
    if name in explained or (name in _SOUND and not _SOUND.isdisjoint(explained)):
        return False
    if name == "rtp_long":
        # One stream of each kind proves nothing: one that is cut is reason enough to look again.
        return (grid.promising() or seen.real_cut()) and grid.failed(twin=False)[1] < most
    return grid.promising() and grid.made + (1 if name == "rtp" else _PAIRS) <= most


def _lone(seen: Seen, most: int, explained: Collection[str]) -> bool:
    """Whether sound failed where its twins did not: too seldom to promise anything, and seldom enough by chance (a line
    has to lose half of a stream) to look again."""
    grid = seen.grids["rtp"]
    uneven = grid.failed(twin=False)[0] > grid.failed(twin=True)[0]
    return uneven and grid.made < most and _SOUND.isdisjoint(explained)


def _placing(seen: Seen) -> float:
    """Seconds to keep for finding the place of what fails."""
    return min(_PLACE, _SWEEPS * (seen.patience() + SENDING))


def _until_cut(streams: list[Stream]) -> float:
    """Seconds that show the cut again, with some room behind it."""
    cuts = [s.cut * s.plan.interval for s in streams if s.cut and not s.plan.twin and s.plan.interval == SPARSE]
    return min(_LONG, max(LASTING, max(cuts) * 1.1 + 1.0)) if cuts else _LONG


def _after(line: Line, seen: Seen) -> Part[None]:
    """The controls that end a run."""
    seen.after += yield from line.twins(_PAIRS)


def _reports(line: Line, seen: Seen) -> Part[None]:
    """How sound arrived at the far end. Asked once for all: every answer that gets lost takes seconds."""
    seen.streams = yield from line.reported(seen.streams)


def _gateway(line: Line, seen: Seen) -> Part[None]:
    """Where requests arrive otherwise than they were sent: who rewrites them."""
    altered = [lines for lines in rewritten(seen.said) if lines]
    if len(altered) < 3 or "sip" not in line.served():
        return
    names = tuple(sorted({name for lines in altered for name in lines}))
    seen.gateway = yield from place_gateway(line.caller, line.known("sip"), names, seen.patience(), line.top(seen))


def _locate(line: Line, seen: Seen, watch: Stopwatch, context: Context) -> Part[None]:
    """What fails beyond chance: where."""
    found = [Finding(grid=name, why=why) for name, grid in seen.grids.items() for why in grid.explain(QUESTIONS)]
    if found:
        context.progress("finding out where calls are stopped")
        seen.findings = yield from locate_all(line, seen, found, watch.left)


def _service(
    options: Options, seen: Seen, relays: list[Endpoint], chat: list[Endpoint], context: Context
) -> Part[None]:
    """The endpoints of a service; those that fail are asked again after the others."""
    if not relays and not chat:
        return
    context.progress(f"asking what calls and chat of {options.target} need")
    six = ":" in options.reflector
    wanted: list[tuple[Side, Endpoint]] = []
    for side, ends in (("calls", relays), ("chat", chat)):
        wanted += [("calls" if side == "calls" else "chat", e)
                   for e in (yield from resolve(ends, options.resolver, six, context.random))]  # fmt: skip
    first: list[Asked] = yield from ask(wanted, context.random, again=False)
    seen.asked += first
    silent = [pair for pair, asked in zip(wanted, first, strict=True) if not asked.answered]
    if silent:
        seen.asked += yield from ask(silent, context.random, again=True)
