"""A case in sentences (English: for a terminal and for logs; the monitor and the dossier have their own languages)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from probe.collector.incidents.cases import (
    Abroad,
    Alone,
    CallsNotChat,
    Case,
    Company,
    Countrywide,
    Intermittent,
    InTurn,
    Part,
    Trait,
)
from probe.collector.incidents.model import HOUR, Bounds


def said(case: Case) -> Iterable[str]:
    """Who did it, and what it is."""
    for part in case.parts:
        yield _part(part)
    for trait in case.traits:
        yield _trait(trait)
    for one in case.exemptions:
        homes = "1 home" if one.homes == 1 else f"{one.homes} homes"
        until = f" until {instant(one.until)}" if one.until else " on"
        yield f"It worked for {homes} from {instant(one.since)}{until}, while it was cut for the others."


def span(began: Bounds, ended: Bounds | None) -> str:
    """Both ends, each between two results."""
    return f"since {_bounds(began)}" + (f" until {_bounds(ended)}" if ended is not None else ", and it lasts")


def instant(at: int) -> str:
    """To the minute, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _bounds(bounds: Bounds) -> str:
    if not bounds.after or not bounds.until:
        return instant(bounds.until or bounds.after)
    return f"{instant(bounds.until)} (or up to {_minutes(bounds.until - bounds.after)} before)"


def _minutes(span_ms: int) -> str:
    hours, minutes = divmod(span_ms // 60_000, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _part(part: Part) -> str:
    return (
        f"{part.operator} ({part.access}): {len(part.targets)} "
        f"{'target' if len(part.targets) == 1 else 'targets'}, {part.homes} of {part.heard} homes, "
        f"{span(part.began, part.ended)}."
    )


def _trait(trait: Trait) -> str:
    match trait:
        case Company(operator=operator, cut=cut, watched=watched, others=others):
            return f"{operator} cuts {cut} of {watched} targets of one company; {others} of others work there."
        case Alone(fine=fine):
            return f"It works with the country's other operators that were measured: {', '.join(fine)}."
        case Countrywide(operators=operators):
            return f"All {len(operators)} operators of the country that were measured do it."
        case Abroad(fine=fine, failing=failing):
            fails = f"; it fails in {', '.join(failing)}" if failing else ""
            return f"Abroad it works in {', '.join(fine) or 'no country that was measured'}{fails}."
        case CallsNotChat(chat=chat):
            return f"Calls are cut, text works on the same lines: {', '.join(chat)}."
        case Intermittent(share=share, hours=hours):
            often = f", most at {', '.join(f'{hour}h' for hour in hours)} UTC" if hours else ""
            return f"Not always: {share:.0%} of the results{often}."
        case InTurn(first=first, then=then, after=after):
            return f"{first} lines first, {then} lines {after // (24 * HOUR)} days later."
