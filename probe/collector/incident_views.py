"""From incidents to what their pages say: since when, until when, how many homes, where, who disagrees. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from markupsafe import Markup

from probe.collector import instants, views, words
from probe.collector.heartbeats import Silence
from probe.collector.history import HistoryRow
from probe.collector.incidents.model import Bounds, Counted, Exemption, Incident
from probe.collector.languages.language import Language, mark
from probe.collector.store import FindingRow, IncidentRow
from probe.collector.views import Time
from probe.model.feed import short_hash

STATES = {"suspected": mark("Suspected"), "open": mark("Going on"), "closed": mark("Over")}
_NOT_BAD = frozenset({"clean", "down", "inconclusive"})


class Hour(msgspec.Struct, frozen=True):
    """One hour of the day, UTC. ``height``: its share of bad results, 0 … 100."""

    hour: int
    bad: int
    made: int
    height: int


class Place(msgspec.Struct, frozen=True):
    """A link on the path, and how many probes named it."""

    place: Markup
    probes: int


class Other(msgspec.Struct, frozen=True):
    """Another line kind on which the same was measured in the same time: how many results, and how many were bad."""

    operator: str
    access: str
    bad: int
    made: int
    probes: int


class Gap(msgspec.Struct, frozen=True):
    """An interval in which nobody measured; ``proof``: what signed heartbeats say of its hours."""

    span: Markup
    proof: list[Markup]


class IncidentView(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in words. ``began`` and ``ended`` tell between which two results; ``changed``: when it last began or
    ended, ms."""

    id: str
    title: str
    state: str
    open: bool
    technique: str
    explained: str
    target: str
    target_key: str
    operator: str
    access: str
    country: str
    test: str
    cell: str
    since: Time
    until: Time | None
    began: Markup
    ended: Markup
    lasted: str
    homes: int
    heard: int
    sure: str
    share: str
    intermittent: bool
    dissent: tuple[str, ...]
    exemptions: list[Markup]
    silent: list[Gap]
    proven: bool
    counted: Counted
    hours: list[Hour]
    changed: int
    summary: str


def view(
    row: IncidentRow, target: str, now: int, language: Language, silences: Sequence[Silence] = ()
) -> IncidentView:
    """One incident. ``target``: what its target is called (else empty); ``now`` in ms; ``silences``: what heartbeats
    prove of its silent intervals."""
    one, series = row.incident, row.incident.series
    word = words.TECHNIQUES[series.technique]
    operator = row.operator or series.operator or language.text("Unknown operator")
    name = target or series.target
    end = one.ended.after if one.ended is not None else now
    technique = language.text(word.label)
    return IncidentView(
        id=row.id,
        title=language.text(
            "%(technique)s: %(target)s on %(operator)s", technique=technique, target=name, operator=operator
        ),
        state=language.text(STATES[one.state]),
        open=one.ended is None,
        technique=technique,
        explained=language.text(word.explained),
        target=name,
        target_key=views.target_key(name),
        operator=operator,
        access=words.access(series.access, language),
        country=series.country,
        test=words.measurement(series.measurement, language),
        cell=cell_key(one),
        since=Time.of(one.began.until, language),
        until=Time.of(one.ended.after, language) if one.ended is not None else None,
        began=began(one.began, language),
        ended=ended(one.ended, language),
        lasted=language.duration(max(0, end - one.began.until)),
        homes=one.homes,
        heard=one.heard,
        sure=language.percent(one.sure),
        share=language.percent(one.share),
        intermittent=one.intermittent,
        dissent=one.dissent,
        exemptions=[exemption(spared, language) for spared in one.exemptions],
        silent=[gap(since, until, silences, language) for since, until in one.silent],
        proven=any(silence.idle or silence.cut_off for silence in silences), counted=one.counted,
        hours=[
            Hour(hour, bad, made, round(100 * bad / made) if made else 0) for hour, (bad, made) in enumerate(one.hours)
        ],
        changed=changed(one),
        summary=_summary(one, language),
    )


def changed(one: Incident) -> int:
    """When it was known to have begun or, once it is over, ended (ms)."""
    return one.began.until if one.ended is None else one.ended.until or one.ended.after


def cell_key(one: Incident) -> str:
    """The monitor's cell of the incident's series, as `cells.cell_key` has it."""
    series = one.series
    column = short_hash(f"{series.operator}\x1f{series.country}\x1f{series.access}")
    return short_hash(f"{column}\x1f{series.measurement}\x1f{series.target}")


def began(bounds: Bounds, language: Language) -> Markup:
    """Since when: after the last result that was good, no later than the first that was bad."""
    bad = _stamp(bounds.until, language)
    if not bounds.after:
        return language.html("on or before %(bad)s: nobody had measured it earlier", bad=bad)
    return language.html(
        "between %(good)s, when it last worked, and %(bad)s, when it first did not",
        good=_stamp(bounds.after, language), bad=bad,
    )  # fmt: skip


def ended(bounds: Bounds | None, language: Language) -> Markup:
    """Until when, if it is over."""
    if bounds is None:
        return language.html("it goes on")
    bad = _stamp(bounds.after, language)
    if not bounds.until:
        return language.html("after %(bad)s: nobody has measured it since", bad=bad)
    return language.html(
        "between %(bad)s, when it last failed, and %(good)s, when it first worked again",
        bad=bad, good=_stamp(bounds.until, language),
    )  # fmt: skip


def gap(since: int, until: int, silences: Sequence[Silence], language: Language) -> Gap:
    """An interval in which nobody measured, with what is known of its hours."""
    proof = list[Markup]()
    for silence in silences:
        if (silence.since, silence.until) != (since, until):
            continue
        if silence.idle:
            proof.append(language.htmls(
                "%(num)s hour: a probe was alive and in touch, and nothing came of measuring",
                "%(num)s hours: a probe was alive and in touch, and nothing came of measuring", silence.idle,
            ))  # fmt: skip
        if silence.cut_off:
            proof.append(language.htmls(
                "%(num)s hour: a probe was alive, but cut off: its signs of life came late",
                "%(num)s hours: a probe was alive, but cut off: its signs of life came late", silence.cut_off,
            ))  # fmt: skip
        if silence.dead:
            proof.append(language.htmls(
                "%(num)s hour: no sign of life", "%(num)s hours: no sign of life", silence.dead
            ))
    span = language.html("from %(since)s to %(until)s", since=_stamp(since, language), until=_stamp(until, language))
    return Gap(span, proof)


def places(one: Incident, findings: Sequence[FindingRow], language: Language) -> list[Place]:
    """Where on the path, by the findings of the incident; the link that most probes name first."""
    return ordered(named(one, findings, language))


def named(one: Incident, findings: Sequence[FindingRow], language: Language) -> dict[Markup, set[str]]:
    """Link → the probes whose findings of the incident name it."""
    end = one.ended.after if one.ended is not None else max((f.at or 0 for f in findings), default=0)
    found: dict[Markup, set[str]] = {}
    for finding in findings:
        what = finding.interference
        within = finding.at is not None and one.began.until <= finding.at <= end
        if within and what is not None and what.technique == one.series.technique and what.location is not None:
            found.setdefault(words.place(what.location, language), set()).add(finding.probe)
    return found


def ordered(named: Mapping[Markup, set[str]]) -> list[Place]:
    """The link that most probes name first."""
    found = [Place(place, len(probes)) for place, probes in named.items()]
    return sorted(found, key=lambda place: (-place.probes, place.place))


def others(one: Incident, history: Sequence[HistoryRow], language: Language) -> list[Other]:
    """What other operators and kinds of line had meanwhile. ``history``: of the same target, within the incident."""
    series = one.series
    own = (series.country, series.operator, series.access)
    told: dict[tuple[str, str, str], Other] = {}
    for row in history:
        key = (row.country, row.operator, row.access)
        if key == own or row.measurement != series.measurement or row.target != series.target:
            continue
        before = told.get(key) or Other(
            row.named or row.operator or language.text("Unknown operator"), words.access(row.access, language), 0, 0, 0
        )
        if row.what == "inconclusive":
            continue
        told[key] = msgspec.structs.replace(
            before, made=before.made + row.n, bad=before.bad + (row.n if row.what not in _NOT_BAD else 0),
            probes=max(before.probes, row.probes),
        )  # fmt: skip
    return sorted(told.values(), key=lambda other: (other.operator, other.access))


def exemption(one: Exemption, language: Language) -> Markup:
    """Homes for which it worked while it was cut for the others."""
    since = _stamp(one.since, language)
    if not one.until:
        return language.htmls(
            "%(num)s home has been spared since %(since)s", "%(num)s homes have been spared since %(since)s",
            one.homes, since=since,
        )  # fmt: skip
    return language.htmls(
        "%(num)s home was spared from %(since)s to %(until)s", "%(num)s homes were spared from %(since)s to %(until)s",
        one.homes, since=since, until=_stamp(one.until, language),
    )  # fmt: skip


def _summary(one: Incident, language: Language) -> str:
    """In plain text, for the feed."""
    since, word = language.date(one.began.until), language.text(words.TECHNIQUES[one.series.technique].explained)
    if one.ended is None:
        told = language.text("It began by %(since)s and goes on.", since=since)
    else:
        told = language.text(
            "It lasted from %(since)s to %(until)s.", since=since, until=language.date(one.ended.after)
        )
    homes = language.texts(
        "%(homes)s of %(num)s independent home saw it.", "%(homes)s of %(num)s independent homes saw it.",
        one.heard, homes=one.homes,
    )  # fmt: skip
    return f"{told} {homes} {word}"


def _stamp(at: int, language: Language) -> Markup:
    return Markup('<bdi><time datetime="{}">{}</time></bdi>').format(instants.to_text(at), language.date(at))
