"""From changes to what is sent: typed JSON, and the same in words for people. Pure.

Probes are counted and never named: a message may be read by anyone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from probe.collector import instants, words
from probe.collector.incidents.model import Bounds, Incident
from probe.collector.languages.language import Language, load, mark
from probe.collector.notify.changes import Change, Kind, What
from probe.collector.public import minute
from probe.model.config import NotifyConfig

SCHEMA = "colibri.notification/1"
_LONGEST = 120  # characters of a name in a title

TITLES: dict[Kind, str] = {
    "opened": mark("Interference has begun: %(target)s on %(operator)s"),
    "reopened": mark("Interference has begun again: %(target)s on %(operator)s"),
    "updated": mark("Interference goes on, something is new: %(target)s on %(operator)s"),
    "closed": mark("Interference has ended: %(target)s on %(operator)s"),
    "withdrawn": mark("Withdrawn, it was no interference: %(target)s on %(operator)s"),
}
_CLOSED_UPDATED = mark("Interference that has ended, something is new: %(target)s on %(operator)s")

NEWS: dict[What, str] = {
    "began": mark("the begin, after late results"),
    "ended": mark("the end, after late results"),
    "homes": mark("at least twice as many homes saw it"),
    "doubt": mark("how sure it is"),
    "exempted": mark("it works for some homes while it is cut for the others"),
    "spared_no_more": mark("fewer exemptions than were told"),
    "intermittent": mark("it comes and goes now"),
    "steady": mark("it no longer comes and goes"),
}


class Span(msgspec.Struct, frozen=True):
    """After the one instant, not after the other (RFC 3339, cut to the minute: a second could tell which home it was);
    null: nobody measured before, or since."""

    after: str | None
    until: str | None


class Spared(msgspec.Struct, frozen=True):
    """So many homes for which it worked while it was cut for the others; ``until`` null: it still does."""

    homes: int
    since: str
    until: str | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change. ``before``: the id that it was told under, where that is another; ``name``: of the operator; the rest
    is the incident's."""

    kind: Kind
    incident: str
    before: str
    what: tuple[What, ...]
    link: str
    country: str
    operator: str
    name: str
    access: str
    measurement: str
    target: str
    technique: str
    state: str
    began: Span
    ended: Span | None
    homes: int
    heard: int
    dissenting: int
    share: float
    sure: float
    intermittent: bool
    exemptions: tuple[Spared, ...]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. ``id`` is the same each time that it is sent; ``text`` is in ``language``."""

    schema: str = SCHEMA
    id: str
    at: str
    subscription: str
    language: str
    title: str
    text: str
    events: list[Event]


def notifications(config: NotifyConfig, changes: Sequence[Change], site: str, at: int) -> list[Notification]:
    """One for each change or, where there are more than the subscription likes, one for all of them."""
    groups = [list(changes)] if len(changes) > config.digest else [[change] for change in changes]
    return [_notification(config, group, site, at) for group in groups]


def _notification(config: NotifyConfig, changes: list[Change], site: str, at: int) -> Notification:
    say = load(config.language)
    events = [_event(change, _link(site, config.language, change)) for change in changes]
    bodies = [_text(say, change, event.link) for change, event in zip(changes, events, strict=True)]
    titles = [title(say, change) for change in changes]
    if len(changes) == 1:
        head, text = titles[0], bodies[0]
    else:
        head = say.texts("%(num)s change of incidents", "%(num)s changes of incidents", len(changes))
        text = "\n\n".join(f"{one}\n{body}" for one, body in zip(titles, bodies, strict=True))
    content = msgspec.json.encode([config.name, events])
    return Notification(
        id=hashlib.sha256(content).hexdigest()[:32], at=instants.to_text(at), subscription=config.name,
        language=config.language, title=head, text=text, events=events,
    )  # fmt: skip


def title(say: Language, change: Change) -> str:
    """One line: what happened to which target, on which operator."""
    incident = change.row.incident
    message = TITLES[change.kind]
    if change.kind == "updated" and incident.state == "closed":
        message = _CLOSED_UPDATED
    return say.text(message, target=_clean(incident.series.target), operator=_operator(change))


def _text(say: Language, change: Change, link: str) -> str:
    incident = change.row.incident
    series = incident.series
    network = series.operator if series.operator.startswith("AS") and change.row.operator else ""
    places = (_operator(change), network, series.country, _access(say, incident))
    place = " · ".join(part for part in places if part)
    facts = [
        (say.text(mark("What is new")), ", ".join(say.text(NEWS[what]) for what in change.what)),
        (say.text(mark("Target")), _clean(series.target)),
        (say.text(mark("Operator")), place),
        (say.text(mark("What is done")), say.text(words.TECHNIQUES[series.technique].label)),
        (say.text(mark("Begin")), _between(say, incident.began)),
        (say.text(mark("End")), _between(say, incident.ended) if incident.ended else ""),
        (say.text(mark("Homes that saw it")), _of(say, incident.homes, incident.heard)),
        (say.text(mark("Probes that never saw it")), say.number(len(incident.dissent)) if incident.dissent else ""),
        (say.text(mark("Comes and goes; share of the tests that failed")),
         say.percent(incident.share) if incident.intermittent else ""),
        (say.text(mark("Homes for which it worked meanwhile")),
         say.number(sum(one.homes for one in incident.exemptions)) if incident.exemptions else ""),
        (say.text(mark("Share of the homes that saw it, at the least (95 % interval)")), say.percent(incident.sure)),
        (say.text(mark("Details")), link),
    ]  # fmt: skip
    line = mark("%(label)s: %(value)s")
    return "\n".join(say.text(line, label=label, value=value) for label, value in facts if value)


def _operator(change: Change) -> str:
    return _clean(change.row.operator or change.row.incident.series.operator)


def _access(say: Language, incident: Incident) -> str:
    label = words.ACCESS[incident.series.access]
    return say.text(label) if label else ""


def _between(say: Language, bounds: Bounds) -> str:
    if not bounds.after:
        return say.text(mark("before %(time)s"), time=say.date(bounds.until))
    if not bounds.until:
        return say.text(mark("after %(time)s"), time=say.date(bounds.after))
    return say.text(
        mark("between %(after)s and %(until)s"), after=say.date(bounds.after), until=say.date(bounds.until)
    )


def _of(say: Language, part: int, whole: int) -> str:
    return say.text(mark("%(part)s of %(whole)s that measured"), part=part, whole=whole)


def _link(site: str, language: str, change: Change) -> str:
    if not site or change.kind == "withdrawn":
        return ""
    return f"{site.rstrip('/')}/{language}/incident/{change.row.id}"


def _event(change: Change, link: str) -> Event:
    i, name = change.row.incident, change.row.id
    fields: dict[str, Any] = msgspec.structs.asdict(i.series)
    return Event(
        kind=change.kind, incident=name, before=change.before if change.before != name else "", what=change.what,
        link=link, name=change.row.operator, **fields, state=i.state, began=_span(i.began),
        ended=_span(i.ended) if i.ended else None, homes=i.homes, heard=i.heard, dissenting=len(i.dissent),
        share=round(i.share, 4), sure=round(i.sure, 4), intermittent=i.intermittent,
        exemptions=tuple(Spared(e.homes, minute(e.since), _instant(e.until)) for e in i.exemptions),
    )  # fmt: skip


def _span(bounds: Bounds) -> Span:
    return Span(_instant(bounds.after), _instant(bounds.until))


def _instant(at: int) -> str | None:
    return minute(at) if at else None


def _clean(text: str) -> str:
    """A name in one line, whatever somebody put into it: control characters and bidirectional marks would let it
    pretend to be more than a name."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
