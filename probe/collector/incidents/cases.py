"""Incidents that belong together, and what they are together: a company blacklisted, calls cut while chat works, all of
a country's operators, mobile lines first. Pure; every trait names its numbers, so that a page can say them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

import msgspec

from probe.collector.incidents.model import HOUR, Bounds, Exemption, Incident
from probe.model.finding import Access

JOINED = 14 * 24 * HOUR
"""Incidents of one country and subject that lie no farther apart are one case: operators do not act on one day."""
CALLS = frozenset({"voip_signalling", "voip_stun", "voip_media", "udp_block", "port_block", "sip_alg"})
CHAT = "chat"
"""Group of targets that are text messaging; calls are those of the measurement `voip`, or of the group `voip`."""
MOSTLY = 0.9
"""Share of the hours in which a home must have seen it work, to have seen it work."""
_FINE = 0.75  # of the homes: a fifth of them may lie


class Look(msgspec.Struct, frozen=True):
    """How one kind of line of an operator fared with a target while a case lasted: ``good`` homes saw it work nearly
    all the time, ``bad`` ones did not."""

    country: str
    operator: str
    access: Access
    measurement: str
    target: str
    group: str
    good: int
    bad: int

    @property
    def fine(self) -> bool:
        """Whether it worked for nearly all homes."""
        return self.good > 0 and self.good >= _FINE * (self.good + self.bad)


class Member(msgspec.Struct, frozen=True):
    """An incident of a case: its permanent id, the target's group, itself."""

    id: str
    group: str
    incident: Incident


class Part(msgspec.Struct, frozen=True):
    """What one operator did on one kind of line: when it began and ended at the earliest and the latest."""

    operator: str
    access: Access
    began: Bounds
    ended: Bounds | None
    targets: tuple[str, ...]
    homes: int
    heard: int


class Company(msgspec.Struct, frozen=True, tag="company"):
    """An operator cuts ``cut`` of the ``watched`` addresses or names of one company; those of ``others`` work there."""

    operator: str
    cut: int
    watched: int
    others: int


class Alone(msgspec.Struct, frozen=True, tag="alone"):
    """It works with these other operators of the country."""

    fine: tuple[str, ...]


class Countrywide(msgspec.Struct, frozen=True, tag="countrywide"):
    """All operators of the country that were measured, two or more, do it."""

    operators: tuple[str, ...]


class Abroad(msgspec.Struct, frozen=True, tag="abroad"):
    """It works in so many other countries that measured it."""

    fine: tuple[str, ...]
    failing: tuple[str, ...]


class CallsNotChat(msgspec.Struct, frozen=True, tag="calls_not_chat"):
    """Calls are cut, and these text services work on the same lines."""

    chat: tuple[str, ...]


class Intermittent(msgspec.Struct, frozen=True, tag="intermittent"):
    """A share of the calls or visits, in some hours more (UTC hours in which it is more than twice that of others)."""

    share: float
    hours: tuple[int, ...]


class InTurn(msgspec.Struct, frozen=True, tag="in_turn"):
    """One kind of line first, the other so many ms later."""

    first: Access
    then: Access
    after: int


Trait = Company | Alone | Countrywide | Abroad | CallsNotChat | Intermittent | InTurn


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """``subject``: the targets' group, or the target that has none. ``members``: ids of its incidents, by beginning."""

    country: str
    subject: str
    calls: bool
    began: Bounds
    ended: Bounds | None
    members: tuple[str, ...]
    parts: tuple[Part, ...]
    traits: tuple[Trait, ...]
    exemptions: tuple[Exemption, ...]


def is_calls(incident: Incident) -> bool:
    """Whether it is calls that an incident is about."""
    return incident.series.measurement == "voip" or incident.series.technique in CALLS


def gather(members: Iterable[Member]) -> list[list[Member]]:
    """The members of each case: one country, one subject, no long pause in between. By beginning."""
    def subject(member: Member) -> tuple[str, str, bool]:
        series = member.incident.series
        return series.country, member.group or series.target, is_calls(member.incident)

    found: list[list[Member]] = []
    ordered = sorted(members, key=lambda m: (subject(m), m.incident.began.until, m.id))
    for _, some in groupby(ordered, key=subject):
        end: int | None = 0
        for member in some:
            if end is not None and (not end or member.incident.began.until > end + JOINED):
                found.append([])
                end = 0
            found[-1].append(member)
            last = member.incident.ended
            end = None if last is None or end is None else max(end, last.after)
    return sorted(found, key=lambda case: case[0].incident.began.until)


def case(members: Sequence[Member], looks: Iterable[Look]) -> Case:
    """What the members of a case are together. ``looks``: how all lines everywhere fared in that time, with its targets
    and with others."""
    first, looks = members[0].incident, list(looks)
    parts = _parts(members)
    calls = is_calls(first)
    subject = members[0].group or first.series.target
    ends = [m.incident.ended for m in members]
    return Case(
        country=first.series.country, subject=subject, calls=calls, began=first.began,
        ended=None if None in ends else max((e for e in ends if e is not None), key=lambda e: e.after),
        members=tuple(m.id for m in members), parts=parts,
        traits=tuple(_traits(members, parts, looks, subject, calls=calls)),
        exemptions=tuple(sorted((e for m in members for e in m.incident.exemptions), key=lambda e: e.since)),
    )  # fmt: skip


def _parts(members: Sequence[Member]) -> tuple[Part, ...]:
    lines: dict[tuple[str, Access], list[Incident]] = {}
    for member in members:
        lines.setdefault((member.incident.series.operator, member.incident.series.access), []).append(member.incident)
    found = []
    for (operator, access), some in lines.items():
        ends = [one.ended for one in some]
        found.append(Part(
            operator, access, min((one.began for one in some), key=lambda b: b.until),
            None if None in ends else max((e for e in ends if e is not None), key=lambda e: e.after),
            tuple(sorted({one.series.target for one in some})), max(one.homes for one in some),
            max(one.heard for one in some),
        ))  # fmt: skip
    return tuple(sorted(found, key=lambda part: part.began.until))


def _traits(
    members: Sequence[Member], parts: Sequence[Part], looks: Sequence[Look], subject: str, *, calls: bool
) -> Iterable[Trait]:
    country = members[0].incident.series.country
    measurements = {m.incident.series.measurement for m in members}
    about = [look for look in looks if (look.group or look.target) == subject and look.measurement in measurements]
    at_home = [look for look in about if look.country == country]
    doing = {part.operator for part in parts}
    if not calls:
        yield from _companies(parts, at_home, looks, country, measurements, subject)
    fine = sorted({one.operator for one in at_home if one.operator not in doing and _all_fine(at_home, one.operator)})
    measured = {look.operator for look in at_home}
    if fine:
        yield Alone(tuple(fine))
    elif len(doing) > 1 and measured <= doing:
        yield Countrywide(tuple(sorted(doing)))
    abroad: dict[str, list[bool]] = {}
    for look in about:
        if look.country != country:
            abroad.setdefault(look.country, []).append(look.fine)
    if abroad:
        working = tuple(sorted(name for name, words in abroad.items() if 2 * sum(words) > len(words)))
        yield Abroad(working, tuple(sorted(abroad.keys() - set(working))))
    lines = {(part.operator, part.access) for part in parts}
    chat = [look for look in looks if look.group == CHAT and (look.operator, look.access) in lines]
    texts = tuple(sorted({one.target for one in chat if all(x.fine for x in chat if x.target == one.target)}))
    if calls and texts:
        yield CallsNotChat(texts)
    yield from _intermittent(members)
    yield from _in_turn(parts)


def _all_fine(looks: Iterable[Look], operator: str) -> bool:
    return all(look.fine for look in looks if look.operator == operator)


def _companies(
    parts: Sequence[Part], at_home: Sequence[Look], looks: Sequence[Look], country: str, measurements: set[str],
    subject: str,
) -> Iterable[Company]:  # fmt: skip
    for operator in sorted({part.operator for part in parts}):
        watched = {look.target for look in at_home if look.operator == operator}
        cut = {target for part in parts if part.operator == operator for target in part.targets}
        others = {
            look.target for look in looks
            if look.operator == operator and look.country == country and look.measurement in measurements
            and (look.group or look.target) != subject and look.fine
        }  # fmt: skip
        if len(cut) > 1:
            yield Company(operator, len(cut), len(watched | cut), len(others))


def _intermittent(members: Sequence[Member]) -> Iterable[Intermittent]:
    some = [m.incident for m in members if m.incident.intermittent]
    if 2 * len(some) <= len(members):
        return
    hours = [tuple(map(sum, zip(*(one.hours[h] for one in some), strict=True))) for h in range(24)]
    bad, made = sum(b for b, _ in hours), sum(n for _, n in hours)
    often = []
    for hour, (b, n) in enumerate(hours):
        others = (bad - b) / max(1, made - n)
        if n and b / n > 2 * others and b >= 3:
            often.append(hour)
    shares = sorted(one.share for one in some)
    yield Intermittent(shares[len(shares) // 2], tuple(often))


def _in_turn(parts: Sequence[Part]) -> Iterable[InTurn]:
    begun: dict[Access, Mapping[str, int]] = {}
    for access in sorted({part.access for part in parts}):
        begun[access] = {part.operator: part.began.until for part in parts if part.access == access}
    kinds = sorted(begun, key=lambda access: min(begun[access].values()))
    for first, then in pairwise(kinds):
        both = sorted(set(begun[first]) & set(begun[then]))
        if both and all(begun[then][one] - begun[first][one] >= 24 * HOUR for one in both):
            yield InTurn(first, then, min(begun[then].values()) - min(begun[first].values()))
