"""What of the collected may be public, and the messages that tell it. Pure.

An operator whose lines are measured by a single probe says nothing in public, since everything said of it would be said
of that one home, unless its owner agreed. What is said names no probe, gives no address of a path, and dates to the
minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from probe.collector import instants
from probe.collector.cells import Cell, operator_key
from probe.collector.heartbeats import Silence
from probe.collector.incidents.model import Bounds, Incident
from probe.model import feed
from probe.model.finding import Line

NOBODY_TOLD: Mapping[str, str] = MappingProxyType({})
K = 2
"""Homes (probes, where the broker does not tell them apart) that an operator needs before anything of it is public
(k-anonymity)."""
LATELY = 30 * instants.DAY
"""Who has measured within this time makes up an operator's crowd; in ms."""
STATE = "colibri.public.state/1"
LASTING = 24 * 3600
"""Seconds that a public state is kept by a broker: what nobody has measured for a day says nothing about now."""

Operator = tuple[str, str]
"""(country, key of the operator)."""


class Post(msgspec.Struct, frozen=True):
    """A message to publish. ``expiry`` in seconds, 0: none. An empty ``payload`` takes a retained one away."""

    topic: str
    payload: bytes
    schema: str
    retain: bool = False
    expiry: int = 0


def operator_of(line: Line) -> Operator:
    """Whose line it is."""
    return line.country, operator_key(line)


def shown(
    crowd: Iterable[tuple[Line, str]], consents: Collection[str], homes: Mapping[str, str] = NOBODY_TOLD
) -> frozenset[Operator]:
    """Operators of which anything may be public. ``crowd``: lines with the probes that measure there; ``consents``:
    probes whose owners agreed to be the only one; ``homes``: probe → its home (`store.Reader.homes`): two probes of one
    home are no crowd, nor are those of whom the broker did not tell, once it tells of any."""
    probes: dict[Operator, set[str]] = {}
    for line, probe in crowd:
        probes.setdefault(operator_of(line), set()).add(probe)

    def enough(who: set[str]) -> bool:
        return len({homes.get(probe, "") for probe in who} if homes else who) >= K

    return frozenset(one for one, who in probes.items() if enough(who) or not who.isdisjoint(consents))


def tellable(incident: Incident, operators: Collection[Operator]) -> bool:
    """Whether an incident may be public: enough homes measured while it lasted, or its operator is shown."""
    enough = incident.heard >= K or (incident.series.country, incident.series.operator) in operators
    return enough and incident.state != "suspected"


def state(cells: Sequence[Cell], now: int) -> feed.PublicState:
    """What is found of one target on one operator. ``cells``: at least one, all of both; ``now`` in ms."""
    newest = max(cells, key=lambda cell: (cell.last, cell.key))
    line, target = newest.line, newest.target
    return feed.PublicState(
        country=line.country,
        operator=line.operator,
        asn=line.asn,
        target=feed.PublicTarget(target.input, target.name, target.port, target.group),
        verdicts=[_verdict(cell) for cell in sorted(cells, key=lambda c: (c.measurement, c.line.access))],
        at=minute(now),
    )


def incident(incident_id: str, kept: Incident) -> feed.PublicIncident:
    """An incident without its probes' names. Raises ValueError for one that is only suspected."""
    series = kept.series
    if kept.state == "suspected":
        raise ValueError(f"incident {incident_id} is only suspected: nothing to tell")
    return feed.PublicIncident(
        id=incident_id, country=series.country, operator=series.operator, access=series.access,
        measurement=series.measurement, target=series.target, technique=series.technique, state=kept.state,
        began=bounds(kept.began), ended=bounds(kept.ended) if kept.ended is not None else None, homes=kept.homes,
        heard=kept.heard, dissent=len(kept.dissent), share=round(kept.share, 4),
        hours=[list(pair) for pair in kept.hours], intermittent=kept.intermittent, sure=round(kept.sure, 4),
        exemptions=[feed.PublicExemption(e.homes, minute(e.since), _known(e.until)) for e in kept.exemptions],
        silent=[feed.PublicSilence(minute(since), minute(until)) for since, until in kept.silent], counted=kept.counted,
    )  # fmt: skip


def proven(told: feed.PublicIncident, silence: Iterable[Silence]) -> feed.PublicIncident:
    """The same with what heartbeats prove of its silent intervals (as `store.Reader.silence` tells)."""
    proof = {(minute(one.since), minute(one.until)): one for one in silence}
    return msgspec.structs.replace(told, silent=[
        feed.PublicSilence(s.since, s.until, one.idle, one.cut_off, one.dead)
        if (one := proof.get((s.since, s.until))) is not None else s
        for s in told.silent
    ])  # fmt: skip


def event_of(before: feed.PublicIncident | None, after: feed.PublicIncident) -> feed.Event | None:
    """What happened to an incident; None: nothing that a reader need hear of (shares move with every finding)."""
    if after.state == "closed" and (before is None or before.state == "open"):
        return "closed"
    if before is None or before.state == "closed" != after.state:
        return "opened"
    return "updated" if _gist(before) != _gist(after) else None


def state_post(told: feed.PublicState, operator: str) -> Post:
    """The retained message. ``operator``: its key."""
    topic = feed.public_state(told.country, operator, told.target.input)
    return Post(topic, msgspec.json.encode(told), STATE, retain=True, expiry=LASTING)


def withdrawal(topic: str) -> Post:
    """Takes a retained message away."""
    return Post(topic, b"", STATE, retain=True)


def event_post(event: feed.Event, told: feed.PublicIncident, now: int) -> Post:
    """The message of an event. ``now`` in ms."""
    message = feed.PublicEvent(event=event, incident=told, at=minute(now))
    return Post(feed.public_incident(event), msgspec.json.encode(message), message.schema)


def minute(at: int) -> str:
    """An instant (ms) as text, cut down to its minute: a second could tell which home it was."""
    return instants.to_text(at - at % instants.MINUTE)


def _verdict(cell: Cell) -> feed.PublicVerdict:
    found = cell.interference
    return feed.PublicVerdict(
        measurement=cell.measurement, access=cell.line.access, verdict=cell.verdict,
        technique=found.technique if found else None, placement=found.placement if found else "unknown",
        since=minute(cell.since), last=minute(cell.last), agree=cell.agree, probes=cell.probes,
    )  # fmt: skip


def _known(at: int) -> str | None:
    return minute(at) if at else None


def bounds(one: Bounds) -> feed.PublicBounds:
    """When something changed, to the minute."""
    return feed.PublicBounds(_known(one.after), _known(one.until))


def _gist(told: feed.PublicIncident) -> feed.PublicIncident:
    return msgspec.structs.replace(told, share=0.0, hours=[], sure=0.0)
