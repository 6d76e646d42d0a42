"""The sentences of calls: what a layman is told, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from probe.measurements._exact import wilson
from probe.measurements._judge import plural
from probe.measurements._locate import Place
from probe.measurements._voip.alg import Gateway
from probe.measurements._voip.grid import KNOWN, WORDS, Grid, Protocol
from probe.measurements._voip.place import Located
from probe.measurements._voip.seen import Finding, Seen, protocol_of

_NEAR = 2  # links before the far end that are its own


def about(grid: str) -> str:
    """What a grid is about, to begin a sentence with."""
    text = WORDS[protocol_of(grid)] + (" in calls that last" if grid.endswith("_long") else "")
    return text[:1].upper() + text[1:]


def no_reflector(seen: Seen) -> str:
    """No far end."""
    return f"The reflector {seen.reflector} did not answer, neither over UDP nor over TCP: nothing can be compared."


def control_failed(seen: Seen) -> str:
    """No twins."""
    (before, made), (after, made_after) = seen.controls()
    return (
        f"Harmless twins to the reflector were answered {before} of {made} times before and {after} of {made_after} "
        "times after: is the line down?"
    )


def no_udp(seen: Seen) -> list[str]:
    """No datagrams."""
    (tcp, tcp_made), (tcp_after, made_after) = seen.controls(over_tcp=True)
    answered, asked = seen.dns
    datagrams = (
        f"None of {plural(seen.datagrams(), 'call')} by datagrams (UDP) to the reflector was answered, on well-known "
        f"ports, on others, and with contents that no filter knows; connections (TCP) to it worked {tcp + tcp_after} "
        f"of {tcp_made + made_after} times."
    )
    names = f"Name queries over UDP to the same address were answered {answered} of {asked} times."
    return [datagrams, names] if asked else [datagrams]


def sentence(found: Finding) -> str:
    """What fails beyond chance."""
    why, port = found.why, KNOWN[found.protocol]
    (bad, made), (twin_bad, twins) = why.worse, why.better
    low, high = wilson(bad, made)
    share = f"{bad} of {made} ({low:.0%} to {high:.0%})"
    if why.cause == "port":
        return (
            f"Port {port}: {share} calls with contents that no filter knows failed there, and {twin_bad} of {twins} on "
            f"other ports (chance alone: {why.p:.1g})."
        )
    where = f"on port {port}" if why.cause == "payload_on_port" else "whatever the port"
    lost = f", and lost {why.rise:.0%} more of what was sent" if found.protocol == "rtp" else ""
    return (
        f"{about(found.grid)}: {share} real calls failed {where}{lost}; of twins of the same size and timing, "
        f"{twin_bad} of {twins} (chance alone: {why.p:.1g})."
    )


def sound(seen: Seen, found: Finding) -> list[str]:
    """From when on sound was cut, and in which direction it was lost."""
    if found.protocol != "rtp":
        return []
    real = [s for s in seen.streams if not s.plan.twin and s.lasting == (found.grid == "rtp_long")]
    told = []
    cuts = [(s.cut, s.cut * s.plan.interval) for s in real if s.cut is not None]
    if cuts:
        packets, seconds = sorted(c for c, _ in cuts), sorted(s for _, s in cuts)
        told.append(
            f"Sound was cut in {plural(len(cuts), 'call')} of {len(real)}, from packet {packets[0]} to {packets[-1]} "
            f"on, after {seconds[0]:.1f} to {seconds[-1]:.1f} s."
        )
    up = [s.loss_up for s in real if s.loss_up is not None]
    down = [s.loss_down for s in real if s.loss_down is not None]
    if up:
        told.append(
            f"On the way up {sum(up) / len(up):.0%} of it was lost"
            + (f", on the way down {sum(down) / len(down):.0%} of the rest." if down else ".")
        )
    return told


def where(place: Place) -> str:
    """The link."""
    return f"It happens {place.location().attribution}."


def why_not(located: Located | None) -> str:
    """Why nobody is named."""
    if located is None:
        return "Where it happens was not looked for."
    if located.home:
        return "It happens in the home or right behind it, where the home's router and the operator's first look alike."
    near = located.arrives is not None and located.shown_at >= located.arrives - 1 - _NEAR
    if near or (located.place is not None and not located.ahead):
        return "It gets as far as the reflector's own network: it ends there, or on the way back, which is not seen."
    if located.place is None:
        return "No router on the way shows who does it: home, operator and the reflector's own network look alike."
    return "Routers show too little of it to rule out chance."


def rewritten(gateway: Gateway) -> list[str]:
    """What is rewritten, and by whom as far as that is known."""
    what = f"Requests to set up a call arrived otherwise than they were sent: {', '.join(gateway.lines[:6])}."
    if gateway.guilty and gateway.place is not None:
        quotes = (
            f"{plural(gateway.same, 'quote')} of routers outside the home show them as sent, {gateway.changed} show "
            "them rewritten."
        )
        return [what, quotes, where(gateway.place)]
    why = "Routers on the way do not show enough to tell who does it; home routers often do."
    if gateway.place is not None and gateway.home:
        why = (
            "The first router outside the home already sees them rewritten: most likely the home's own router does it "
            '(called "SIP ALG"; it can usually be switched off there).'
        )
    return [what, why]


def all_sound_stops(seen: Seen) -> list[str]:
    """Real ones and twins alike."""
    cuts = [s.cut * s.plan.interval for s in seen.streams if s.lasting and s.cut is not None]
    after = f", after {min(cuts):.1f} to {max(cuts):.1f} s" if cuts else ""
    told = (
        f"Every stream that lasts stopped{after}, real ones and twins alike, while those that only begin went through: "
        "it is not their contents. Something limits how long or how much datagrams may flow; the home's router may."
    )
    return [told]


def silent(protocols: Iterable[Protocol]) -> str:
    """Protocols that the far end answers in no form."""
    names = " and no ".join(WORDS[protocol] for protocol in protocols)
    return f"The reflector answered no {names}, whatever the port and the contents: it may not serve that."


def now_and_then(name: str, grid: Grid) -> str:
    """Too little to tell."""
    (failed, made), (twin_failed, twins) = grid.failed(twin=False), grid.failed(twin=True)
    low, high = wilson(failed, made)
    return (
        f"{about(name)}: {failed} of {made} real calls failed ({low:.0%} to {high:.0%}), and {twin_failed} of {twins} "
        "twins. That is too little to tell a filter from chance; --calls asks more of them."
    )


def left_open(name: str, grid: Grid) -> str:
    """No time for more."""
    (failed, made), (twin_failed, twins) = grid.failed(twin=False), grid.failed(twin=True)
    return (
        f"{about(name)}: {failed} of {made} real calls failed, and {twin_failed} of {twins} twins. More of them would "
        "have told a filter from chance, but the run had no time left for them."
    )


def unasked(seen: Seen) -> list[str]:
    """What an all-clear does not cover."""
    told = [
        f"{about(name)}: real ones fared a little worse than twins, within what chance explains; there was no time for "
        "more of them."
        for name in seen.left_open
    ]
    if seen.unserved:
        names = ", ".join(WORDS[protocol] for protocol in seen.unserved)
        told.append(f"The reflector does not serve {names}: nothing is said of that.")
    elif seen.grids["rtp"].made and not seen.grids["rtp_long"].made:
        told.append("No sound that lasts was played: nothing is said of calls that are cut after a while.")
    return told


def service(target: str, calls: Mapping[str, bool], chat: Mapping[str, bool]) -> list[str]:
    """How a service's endpoints fare."""
    silent_ones = [name for ends in (calls, chat) for name, works in ends.items() if not works]
    counts = f"of {target}, {sum(calls.values())} of {len(calls)} endpoints that calls need answered"
    counts += f", and {sum(chat.values())} of {len(chat)} for chat" if chat else ""
    text = any(chat.values()) and not any(calls.values())
    return [
        f"{'Text works, calls fail: ' if text else ''}{counts[:1].upper() + counts[1:]}.",
        f"Silent: {', '.join(silent_ones[:5])}. The same requests to the reflector were answered.",
        "From one line a list that is out of date, or a service that is down, looks the same: other lines tell.",
    ]


def clean(seen: Seen, worked: int, made: int) -> list[str]:
    """All went through."""
    scores = [s for stream in seen.streams if stream.lasting and not stream.plan.twin for s in stream.score() if s]
    all_ = (
        f"{worked} of {plural(made, 'call')} to the reflector went through, on well-known ports and on others, and "
        "fared like their twins."
    )
    told = [all_]
    if scores:
        told.append(f"Sound that lasts scored {min(scores):.1f} to {max(scores):.1f} (MOS; 4.4 is the best of G.711).")
    if seen.asked:
        told.append(f"All {plural(len({a.endpoint for a in seen.asked}), 'endpoint')} of {seen.target} answered.")
    return told + unasked(seen)
